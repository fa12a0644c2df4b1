# The floor plan, written once. Rooms of one line may not include each other unless the line is
# listed with "+"; every room may include the floors below its own. tools/check_floors.py reads
# this file and checks every #include against it.
set(ROUTED_FLOORS
    "base"
    "http io"
    "exchange tls wire websocket"
    "http1 http2 http3"
    "front bridge engine"
    "serve"
    "cli ffi")
