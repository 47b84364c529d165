package main

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

// certificates are where a server has its certificate from.
type certificates interface{ config() *tls.Config }

// secure says whether the server speaks TLS itself.
func (c *config) secure() bool { return c.tlsCert != "" || len(c.acmeDomains) > 0 }

// certificateEvery is how often the files of a certificate are looked at.
const certificateEvery = 10 * time.Second

// A certificateFile is a certificate and its key in files that may be replaced at any time.
type certificateFile struct {
	certPath, keyPath string
	log               *slog.Logger

	current    atomic.Pointer[tls.Certificate]
	tried      [2]fileStamp // of the files as they were read last
	unreadable bool         // that they cannot be opened, which was said
}

// A fileStamp tells one state of a file from the next.
type fileStamp struct {
	modified time.Time
	size     int64
}

// stampOf is the state of a file that can be opened. Leave to open it comes without another time or
// size, so that a file which cannot be is in no state yet.
func stampOf(path string) (fileStamp, error) {
	f, err := os.Open(path)
	if err != nil {
		return fileStamp{}, err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	info, err := f.Stat()
	if err != nil {
		return fileStamp{}, err
	}
	return fileStamp{info.ModTime(), info.Size()}, nil
}

// openCertificate reads the certificate of the flags, nil if there is none.
func (c *config) openCertificate(log *slog.Logger) (certificates, error) {
	if c.tlsCert == "" {
		return nil, nil //nolint:nilnil // no certificate is no error
	}
	f := &certificateFile{certPath: c.tlsCert, keyPath: c.tlsKey, log: log}
	if err := f.read(); err != nil {
		return nil, usagef("--tls-cert, --tls-key: %w", err)
	}
	return f, nil
}

func (f *certificateFile) config() *tls.Config {
	return &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return f.current.Load(), nil },
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
	}
}

// run reads the files again when they change, and at once on SIGHUP, until ctx ends.
func (f *certificateFile) run(ctx context.Context) error {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	ticker := time.NewTicker(certificateEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hangup:
			f.reload(ctx)
		case <-ticker.C:
			f.refresh(ctx)
		}
	}
}

// hangups says on each SIGHUP that there is nothing to read again, until ctx ends. Otherwise a SIGHUP
// would end the server.
func hangups(ctx context.Context, log *slog.Logger) error {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hangup:
			log.InfoContext(ctx, "SIGHUP: there is nothing to read again; it is for the files of --tls-cert and --tls-key")
		}
	}
}

// refresh reads the files if they have changed.
func (f *certificateFile) refresh(ctx context.Context) {
	stamps, err := f.stamps()
	if err != nil && !f.unreadable {
		f.log.ErrorContext(ctx, "the certificate cannot be read again, going on with the one before", "err", err, "ends", f.current.Load().Leaf.NotAfter)
	}
	if f.unreadable = err != nil; !f.unreadable && stamps != f.tried {
		f.reload(ctx)
	}
}

// reload reads the files. A pair that does not fit, as when only one of them is new yet, leaves
// the certificate as it was.
func (f *certificateFile) reload(ctx context.Context) {
	if err := f.read(); err != nil {
		f.log.ErrorContext(ctx, "the changed certificate cannot be used, going on with the one before", "err", err, "ends", f.current.Load().Leaf.NotAfter)
		return
	}
	f.log.InfoContext(ctx, "the certificate was read again", "ends", f.current.Load().Leaf.NotAfter)
}

func (f *certificateFile) read() error {
	f.tried, _ = f.stamps() // before the files, so that what changes meanwhile is read again
	pair, err := tls.LoadX509KeyPair(f.certPath, f.keyPath)
	if err != nil {
		return err
	}
	f.current.Store(&pair)
	return nil
}

func (f *certificateFile) stamps() (stamps [2]fileStamp, err error) {
	for i, path := range []string{f.certPath, f.keyPath} {
		var failed error
		stamps[i], failed = stampOf(path)
		err = errors.Join(err, failed)
	}
	return stamps, err
}
