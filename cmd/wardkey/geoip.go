package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"github.com/wardkey/wardkey/internal/countries"
)

// countriesEvery is how often the file is looked at.
const countriesEvery = 10 * time.Second

// A countryFile is a database of countries in a file that may be replaced at any time.
type countryFile struct {
	path string

	current    atomic.Pointer[countries.Database]
	tried      fileStamp // of the file as it was read last
	unreadable bool      // that it cannot be opened, which was said
}

// openCountries reads the database of the flag, nil if there is none.
func openCountries(path string) (*countryFile, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // no database is no error
	}
	f := &countryFile{path: path}
	if err := f.read(); err != nil {
		return nil, usagef("--geoip-file: %w", err)
	}
	return f, nil
}

// country says in which country a network is.
func (f *countryFile) country(network netip.Prefix) (code, name string) {
	return f.current.Load().Country(network)
}

// run reads the file again when it changes, until ctx ends.
func (f *countryFile) run(ctx context.Context, log *slog.Logger) error {
	for f != nil {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(countriesEvery):
			f.refresh(ctx, log)
		}
	}
	return nil
}

// refresh reads the file if it has changed. One that cannot be used, as when it is not all written
// yet, leaves the countries as they were.
func (f *countryFile) refresh(ctx context.Context, log *slog.Logger) {
	stamp, err := stampOf(f.path)
	if err != nil && !f.unreadable {
		log.ErrorContext(ctx, "the --geoip-file cannot be read again, going on with the one before", "err", err)
	}
	if f.unreadable = err != nil; f.unreadable || stamp == f.tried {
		return
	}
	if err := f.read(); err != nil {
		log.ErrorContext(ctx, "the changed --geoip-file cannot be used, going on with the one before", "err", err)
		return
	}
	log.InfoContext(ctx, "the --geoip-file was read again", "file", f.path)
}

// read reads the whole file, some 10 MB, into memory: one that is mapped and then written over would
// end the program.
func (f *countryFile) read() error {
	f.tried, _ = stampOf(f.path) // before the file, so that what changes meanwhile is read again
	text, err := os.ReadFile(f.path)
	if err != nil {
		return fmt.Errorf("read the countries: %w", err)
	}
	database, err := countries.Read(text)
	if err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	f.current.Store(database)
	return nil
}
