package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
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

	current atomic.Pointer[tls.Certificate]
	tried   [2]fileStamp // of the files as they were read last
}

// A fileStamp tells one state of a file from the next.
type fileStamp struct {
	modified time.Time
	size     int64
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
			if stamps, err := f.stamps(); err == nil && stamps != f.tried {
				f.reload(ctx)
			}
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
			log.InfoContext(ctx, "SIGHUP: there is nothing to read again; a server reads only the files of --tls-cert and --tls-key while it runs")
		}
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
		info, statErr := os.Stat(path)
		if statErr != nil {
			err = errors.Join(err, fmt.Errorf("look at the certificate: %w", statErr))
			continue
		}
		stamps[i] = fileStamp{info.ModTime(), info.Size()}
	}
	return stamps, err
}
