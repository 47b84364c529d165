package recipes

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A process is a running example.
type process struct {
	cmd    *exec.Cmd
	output bytes.Buffer
	ended  chan struct{}
}

// watched is a shell that becomes a command. It leaves a child behind that ends all processes of
// its group when file 3 is at its end, which is when the tests end, however they do.
const watched = `(read line <&3; kill -9 0) & exec "$@" 3<&-`

// start runs a command in dir until the test ends.
func start(t *testing.T, dir string, environment, command []string) *process {
	t.Helper()
	atEnd, open, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer atEnd.Close()
	args := append([]string{"-c", watched, "sh"}, command...)
	p := &process{cmd: exec.CommandContext(context.WithoutCancel(t.Context()), "sh", args...), ended: make(chan struct{})}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, &p.output, &p.output
	p.cmd.Env = append(os.Environ(), environment...)
	p.cmd.ExtraFiles = []*os.File{atEnd}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a group of its own
	p.cmd.WaitDelay = time.Second
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("%v: %v", command, err)
	}
	go func() {
		_ = p.cmd.Wait() // killed, as a rule
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.stop()
		open.Close()
		if t.Failed() {
			t.Logf("%v:\n%s", command, p.output.Bytes())
		}
	})
	return p
}

func (p *process) stop() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // nobody is left, if all ended by themselves
	<-p.ended
}

// answers waits until the process serves HTTP at an address.
func (p *process) answers(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(r)
		if err == nil {
			return res.Body.Close()
		}
		select {
		case <-p.ended:
			return fmt.Errorf("it ended:\n%s", p.output.Bytes())
		case <-ctx.Done():
			p.stop()
			return fmt.Errorf("it does not serve %s:\n%s", address, p.output.Bytes())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Ports below those that the kernel gives away by itself, so that nobody gets one of them between
// freePort and its use.
var (
	firstPort = 10000 + rand.Int32N(15000)
	ports     atomic.Int32 // that were given away
)

// freePort is one that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	for range 1000 {
		port := strconv.Itoa(int(firstPort + ports.Add(1)))
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}
