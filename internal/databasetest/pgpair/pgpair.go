//go:build unix

// Package pgpair starts a PostgreSQL primary with a standby, for tests of failover.
//
// Begin with [Start]. Every process is started by the test and ends with it; everything listens on
// 127.0.0.1.
package pgpair

import (
	"bytes"
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx"
)

// A Pair is a primary and its standby.
type Pair struct{ Primary, Standby *Server }

// URL names both, and asks for the one that takes writes.
func (p *Pair) URL() string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d,127.0.0.1:%d/postgres?sslmode=disable&target_session_attrs=read-write", p.Primary.port, p.Standby.port)
}

// A Server is one PostgreSQL.
type Server struct {
	bin, dir string
	port     int
	process  *exec.Cmd
	ended    chan struct{}
	log      bytes.Buffer
}

// Start starts a pair. The standby is synchronous, or lags as it likes. It skips the test where
// PostgreSQL is not installed and WARDKEY_TEST_ENGINES does not demand it.
func Start(t testing.TB, synchronous bool) *Pair {
	t.Helper()
	bin := find(t)
	base, err := os.MkdirTemp("", "wardkey-pair-") //nolint:usetesting // PostgreSQL's own user must reach it
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(base) })
	must(t, own(base))
	p := &Pair{Primary: &Server{bin: bin, dir: filepath.Join(base, "primary")}, Standby: &Server{bin: bin, dir: filepath.Join(base, "standby")}}
	run(t, bin, "initdb", "-D", p.Primary.dir, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	names := ""
	if synchronous {
		names = "standby"
	}
	p.Primary.start(t, "-c", "synchronous_standby_names="+names)
	run(t, bin, "pg_basebackup", "-h", "127.0.0.1", "-p", strconv.Itoa(p.Primary.port), "-U", "postgres",
		"-D", p.Standby.dir, "-R", "-X", "stream", "--checkpoint=fast", "--no-sync")
	p.Standby.start(t, "-c", "cluster_name=standby")
	p.Primary.wait(t, `SELECT count(*) = 1 FROM pg_stat_replication WHERE state = 'streaming'`)
	return p
}

func find(t testing.TB) string {
	t.Helper()
	if dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin"); len(dirs) > 0 { // the pattern is right
		slices.Sort(dirs)
		return dirs[len(dirs)-1]
	}
	if path, err := exec.LookPath("pg_basebackup"); err == nil {
		return filepath.Dir(path)
	}
	if os.Getenv("WARDKEY_TEST_ENGINES") == "both" {
		t.Fatal("WARDKEY_TEST_ENGINES=both, but PostgreSQL is not installed")
	}
	t.Skip("PostgreSQL is not installed")
	return ""
}

// start runs the server on a free port until the test ends.
func (s *Server) start(t testing.TB, options ...string) {
	t.Helper()
	free, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	s.port = free.Addr().(*net.TCPAddr).Port
	must(t, free.Close())
	s.process = command(s.bin, "postgres", append([]string{
		"-D", s.dir, "-p", strconv.Itoa(s.port), "-k", s.dir,
		"-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "hot_standby=on",
	}, options...)...)
	s.process.Stdout, s.process.Stderr = &s.log, &s.log
	must(t, s.process.Start())
	s.ended = make(chan struct{})
	go func() { _ = s.process.Wait(); close(s.ended) }()
	t.Cleanup(s.Kill)
	s.wait(t, `SELECT true`)
}

// URL names this server alone.
func (s *Server) URL() string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable&connect_timeout=5", s.port)
}

// Address is where it listens.
func (s *Server) Address() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

// wait waits until a query says true.
func (s *Server) wait(t testing.TB, query string) {
	t.Helper()
	db, err := sql.Open("pgx", s.URL())
	must(t, err)
	defer db.Close() //nolint:errcheck // it was read from only
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		var yes bool
		if err = db.QueryRowContext(t.Context(), query).Scan(&yes); err == nil && yes {
			return
		}
	}
	s.Kill()
	t.Fatalf("PostgreSQL never said yes to %s: %v\n%s", query, err, &s.log)
}

// Kill ends the server at once, as a crash does: nothing is written any more.
func (s *Server) Kill() {
	_ = s.process.Process.Signal(syscall.SIGQUIT) // to all its processes; it may have ended before
	<-s.ended
}

// Promote makes a standby the primary, and returns when it takes writes.
func (s *Server) Promote(t testing.TB) {
	t.Helper()
	run(t, s.bin, "pg_ctl", "-D", s.dir, "promote", "-w")
	s.wait(t, `SELECT NOT pg_is_in_recovery()`)
}

// credential is the user that PostgreSQL runs as: it refuses to be root.
func credential() *syscall.Credential {
	if os.Geteuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			uid, _ := strconv.ParseUint(u.Uid, 10, 32) // numbers on all systems that PostgreSQL runs on
			gid, _ := strconv.ParseUint(u.Gid, 10, 32)
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	return nil
}

func own(path string) error {
	if c := credential(); c != nil {
		return os.Chown(path, int(c.Uid), int(c.Gid))
	}
	return nil
}

func command(bin, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(bin, name), args...) //nolint:noctx // a server ends by Kill, and all else by itself
	cmd.Dir = os.TempDir()
	cmd.Env = []string{"PATH=" + bin + ":/usr/bin:/bin", "LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential()}
	return cmd
}

func run(t testing.TB, bin, name string, args ...string) {
	t.Helper()
	if out, err := command(bin, name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
