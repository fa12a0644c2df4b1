// A WebSocket by hand, over the upgrade event of node:http: websocket.mjs URL
import { createHash, randomBytes } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';

const key = randomBytes(16).toString('base64');
const accept = createHash('sha1').update(key + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64');

function frame(opcode, payload) {
  const mask = randomBytes(4);
  const masked = payload.map((byte, i) => byte ^ mask[i % 4]);
  return Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | payload.length]), mask, masked]);
}

setTimeout(() => { console.error('too late'); process.exit(1); }, 20000).unref();

const { request } = process.argv[2].startsWith('https:') ? https : http;
request(process.argv[2] + '/ws/echo', {
  headers: {
    connection: 'Upgrade', upgrade: 'websocket',
    'sec-websocket-version': '13', 'sec-websocket-key': key,
  },
}).on('upgrade', (answer, socket, head) => {
  if (answer.headers['sec-websocket-accept'] !== accept) throw new Error('wrong accept');
  console.log('upgraded');
  let input = head;
  socket.on('data', piece => {
    input = Buffer.concat([input, piece]);
    while (input.length >= 2 && input.length >= 2 + input[1]) {
      const [opcode, payload] = [input[0] & 15, input.subarray(2, 2 + input[1])];
      input = input.subarray(2 + input[1]);
      if (opcode === 1) {
        console.log(payload.toString());
        socket.write(frame(8, Buffer.from([0x03, 0xe8])));
      } else if (opcode === 8 && payload.readUInt16BE() === 1000) {
        console.log('closed');
        socket.end();
      }
    }
  });
  socket.write(frame(1, Buffer.from('hello')));
}).on('response', answer => { throw new Error('status ' + answer.statusCode); }).end();
