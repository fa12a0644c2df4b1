// The client of quic-go with a command line: asks for paths on one connection and prints one JSON
// line for each answer, then one for the connection. tests/http3/clients.py builds and runs it.
package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

type answer struct {
	Path     string            `json:"path"`
	Status   int               `json:"status"`
	Protocol string            `json:"protocol"`
	Length   int64             `json:"length"`
	SHA256   string            `json:"sha256"`
	Body     string            `json:"body,omitempty"` // of small answers
	Trailers map[string]string `json:"trailers,omitempty"`
	Error    string            `json:"error,omitempty"`
}

type summary struct {
	Resumed  bool   `json:"resumed"`
	Early    bool   `json:"early"`
	Version  string `json:"version"`
	Migrated int    `json:"migrated"`
	Error    string `json:"error,omitempty"`
}

var (
	target    = flag.String("connect", "127.0.0.1:8443", "where the datagrams go")
	name      = flag.String("name", "localhost", "the name in the certificate, and in :authority")
	authority = flag.String("authority", "", "PEM file of the authority to trust")
	repeat    = flag.Int("n", 1, "how often each path is asked for")
	parallel  = flag.Int("parallel", 1, "requests under way at once")
	upload    = flag.Int64("upload", -1, "POST that many bytes: 0 to 250 over and over")
	resume    = flag.Bool("resume", false, "ask twice: the second connection resumes the first")
	early     = flag.Bool("early", false, "as -resume, with the second connection's requests in 0-RTT")
	version2  = flag.Bool("v2", false, "QUIC version 2")
	migrate   = flag.Int("migrate", 0, "that often move to another socket of ours during the requests")
	patience  = flag.Duration("timeout", 30*time.Second, "of the whole")
)

const (
	cycle = 251
	shown = 4096 // bytes: bodies up to it are printed
)

type pattern struct{ at, size int64 }

func (p *pattern) Read(out []byte) (int, error) {
	if p.at == p.size {
		return 0, io.EOF
	}
	n := min(int64(len(out)), p.size-p.at)
	for i := range out[:n] {
		out[i] = byte((p.at + int64(i)) % cycle)
	}
	p.at += n
	return int(n), nil
}

func ask(ctx context.Context, transport http.RoundTripper, path string) answer {
	result := answer{Path: path}
	method, body := http.MethodGet, io.Reader(nil)
	if *upload >= 0 {
		method, body = http.MethodPost, &pattern{size: *upload}
	} else if *early {
		method = http3.MethodGet0RTT
	}
	request, err := http.NewRequestWithContext(ctx, method, "https://"+*name+path, body)
	if err != nil {
		result.Error = err.Error()
		return result
	}
	if *upload >= 0 {
		request.ContentLength = *upload
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		result.Error = err.Error()
		return result
	}
	defer response.Body.Close()
	result.Status, result.Protocol = response.StatusCode, response.Proto
	digest := sha256.New()
	start := &head{}
	result.Length, err = io.Copy(io.MultiWriter(digest, start), response.Body)
	if err != nil {
		result.Error = err.Error()
	}
	result.SHA256 = hex.EncodeToString(digest.Sum(nil))
	if result.Length <= shown {
		result.Body = string(start.bytes)
	}
	for key := range response.Trailer {
		if result.Trailers == nil {
			result.Trailers = map[string]string{}
		}
		result.Trailers[key] = response.Trailer.Get(key)
	}
	return result
}

type head struct{ bytes []byte }

func (h *head) Write(piece []byte) (int, error) {
	if room := shown - len(h.bytes); room > 0 {
		h.bytes = append(h.bytes, piece[:min(room, len(piece))]...)
	}
	return len(piece), nil
}

var tokens = quic.NewLRUTokenStore(1, 4)

// open makes a socket of ours.
func open() (*quic.Transport, error) {
	local := &net.UDPAddr{}
	if strings.HasPrefix(*target, "127.") {
		local.IP = net.IPv4(127, 0, 0, 1)
	}
	socket, err := net.ListenUDP("udp4", local)
	if err != nil {
		return nil, err
	}
	return &quic.Transport{Conn: socket}, nil
}

func move(ctx context.Context, connection *quic.Conn, times int) (int, error) {
	for done := 0; done < times; done++ {
		other, err := open()
		if err != nil {
			return done, err
		}
		path, err := connection.AddPath(other)
		if err != nil {
			return done, err
		}
		if err := path.Probe(ctx); err != nil {
			return done, err
		}
		if err := path.Switch(); err != nil {
			return done, err
		}
	}
	return times, nil
}

// round asks for every path on one connection. `print` is false where only a ticket is wanted.
func round(ctx context.Context, settings *tls.Config, paths []string, print bool) summary {
	result := summary{}
	socket, err := open()
	if err != nil {
		return summary{Error: err.Error()}
	}
	defer socket.Close()
	options := &quic.Config{HandshakeIdleTimeout: 20 * time.Second, KeepAlivePeriod: 2 * time.Second, TokenStore: tokens}
	if *version2 {
		options.Versions = []quic.Version{quic.Version2}
	}
	address, err := net.ResolveUDPAddr("udp4", *target)
	if err != nil {
		return summary{Error: err.Error()}
	}
	dialled := make(chan *quic.Conn, 1)
	transport := &http3.Transport{
		TLSClientConfig: settings,
		QUICConfig:      options,
		Dial: func(ctx context.Context, _ string, t *tls.Config, q *quic.Config) (*quic.Conn, error) {
			dial := socket.Dial
			if *early {
				dial = socket.DialEarly
			}
			connection, err := dial(ctx, address, t, q)
			if err == nil {
				select {
				case dialled <- connection:
				default: // a second connection, after the first broke
				}
			}
			return connection, err
		},
	}
	defer transport.Close()

	work := make(chan string)
	lines := make(chan answer)
	var workers sync.WaitGroup
	for range *parallel {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for path := range work {
				lines <- ask(ctx, transport, path)
			}
		}()
	}
	go func() {
		for range *repeat {
			for _, path := range paths {
				work <- path
			}
		}
		close(work)
		workers.Wait()
		close(lines)
	}()
	out := json.NewEncoder(os.Stdout)
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		select {
		case connection := <-dialled:
			result = watch(ctx, connection)
		case <-ctx.Done():
			result.Error = ctx.Err().Error()
		}
	}()
	for line := range lines {
		if print {
			out.Encode(line)
		}
	}
	<-finished
	return result
}

// watch moves the connection as often as asked for, and says what became of it.
func watch(ctx context.Context, connection *quic.Conn) summary {
	select {
	case <-connection.HandshakeComplete():
	case <-connection.Context().Done():
		return summary{Error: context.Cause(connection.Context()).Error()}
	}
	result := summary{}
	moved, err := move(ctx, connection, *migrate)
	if err != nil {
		result.Error = err.Error()
	}
	state := connection.ConnectionState()
	result.Migrated = moved
	result.Resumed = state.TLS.DidResume
	result.Early = state.Used0RTT
	result.Version = state.Version.String()
	return result
}

func main() {
	flag.Parse()
	pem, err := os.ReadFile(*authority)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	settings := &tls.Config{
		RootCAs: roots, ServerName: *name, ClientSessionCache: tls.NewLRUClientSessionCache(4),
		NextProtos: []string{http3.NextProtoH3},
	}
	if *early {
		// crypto/tls counts the age of a ticket from the beginning of the second in which it came, and
		// GnuTLS refuses early data with a ticket that is older for the client than for itself. By a
		// clock that stands still at a whole second, it has no age at all.
		started := time.Now().Truncate(time.Second)
		settings.Time = func() time.Time { return started }
	}
	ctx, cancel := context.WithTimeout(context.Background(), *patience)
	defer cancel()
	if *resume || *early {
		wanted := *early
		*early = false
		round(ctx, settings, []string{"/json"}, false)
		*early = wanted
	}
	json.NewEncoder(os.Stdout).Encode(round(ctx, settings, flag.Args(), true))
}
