package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// connections is how many clients wait for a token of a server at any time.
const connections = 32

// A request is the bytes of a token request. It is made before the clock runs, so that the loader
// takes little of the machine.
type request []byte

func newRequest(id, secret string) request {
	const body = "grant_type=client_credentials"
	return fmt.Appendf(nil, "POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nUser-Agent: wardkey-bench\r\nAccept: application/json\r\n"+
		"Authorization: Basic %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
		base64.StdEncoding.EncodeToString([]byte(id+":"+secret)), len(body), body)
}

// A loader asks the servers of a workload for tokens.
type loader struct {
	connections []*connection
	refused     atomic.Int64 // requests that the server asked to send again
}

// dial connects a loader to the servers of a workload in turn, and lets each connection get a token.
// The requests are dealt to the connections; a single one goes to all of them.
func dial(ctx context.Context, w *workload) (*loader, error) {
	l, requests := &loader{}, w.requests
	for i := range connections * len(w.servers) {
		c, err := connect(ctx, w.servers[i%len(w.servers)].address)
		if err != nil {
			l.close()
			return nil, err
		}
		l.connections = append(l.connections, c)
		for at := i % len(requests); at < len(requests); at += connections {
			c.requests = append(c.requests, requests[at])
		}
		if err := l.token(c); err != nil {
			l.close()
			return nil, err
		}
	}
	return l, nil
}

func (l *loader) close() {
	for _, c := range l.connections {
		_ = c.Close() // nothing is on its way
	}
}

// get gets n tokens. Each connection sends its next request when it has the answer to the last.
func (l *loader) get(ctx context.Context, n int) error {
	stop := context.AfterFunc(ctx, l.close)
	defer stop()
	var left atomic.Int64
	left.Store(int64(n))
	var g errgroup.Group
	for _, c := range l.connections {
		g.Go(func() error {
			for left.Add(-1) >= 0 {
				if err := l.token(c); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// token gets a token, and tries again where the server says so: one that starves beside other
// work on the machine gives up on its store in time.
func (l *loader) token(c *connection) error {
	r := c.requests[rand.IntN(len(c.requests))]
	for {
		_, err := c.token(r)
		if !errors.Is(err, errUnavailable) {
			return err
		}
		l.refused.Add(1)
		time.Sleep(50 * time.Millisecond)
	}
}

// A connection is a keep-alive connection.
type connection struct {
	net.Conn
	reader   *bufio.Reader
	requests []request // of the clients that it belongs to
}

// patience is how long one connection may last: past it, the server hangs.
const patience = 10 * time.Minute

func connect(ctx context.Context, address string) (*connection, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &connection{Conn: c, reader: bufio.NewReaderSize(c, 16<<10)}, c.SetDeadline(time.Now().Add(patience))
}

// errUnavailable is the error for 503.
var errUnavailable = errors.New("the server is not available")

// token sends a request and reads its answer, which must be a token. It returns the size of its
// body.
func (c *connection) token(r request) (size int, err error) {
	if _, err := c.Write(r); err != nil {
		return 0, err
	}
	status, size, err := c.head()
	if err != nil {
		return 0, fmt.Errorf("read an answer: %w", err)
	}
	body, err := c.reader.Peek(size)
	if err != nil {
		return 0, fmt.Errorf("read an answer: %w", err)
	}
	switch {
	case status == http.StatusServiceUnavailable:
		err = errUnavailable
	case status != http.StatusOK || !bytes.HasPrefix(body, []byte(`{"access_token":"ey`)):
		return 0, fmt.Errorf("the answer is %d and not a token: %s", status, body)
	}
	_, discardErr := c.reader.Discard(size)
	return size, errors.Join(err, discardErr)
}

// head reads the head of an answer: its status, and its Content-Length.
func (c *connection) head() (status, size int, err error) {
	line, err := c.reader.ReadSlice('\n')
	if err != nil {
		return 0, 0, err
	}
	text, _ := bytes.CutPrefix(line, []byte("HTTP/1.1 "))
	if status, err = strconv.Atoi(string(text[:min(3, len(text))])); err != nil {
		return 0, 0, err
	}
	size = -1
	for {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return 0, 0, err
		}
		if len(line) == len("\r\n") {
			break
		}
		if value, found := bytes.CutPrefix(line, []byte("Content-Length: ")); found {
			if size, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, 0, err
			}
		}
	}
	if size < 0 {
		return 0, 0, errors.New("there is no Content-Length")
	}
	return status, size, nil
}
