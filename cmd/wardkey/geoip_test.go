package main

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"github.com/wardkey/wardkey/internal/limits"
)

// countriesOf is a database of one network with a record.
func countriesOf(t *testing.T, network string, record mmdbtype.Map) []byte {
	t.Helper()
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "Test", IncludeReservedNetworks: true})
	must(t, err)
	_, ipnet, err := net.ParseCIDR(network)
	must(t, err)
	must(t, tree.Insert(ipnet, record))
	var text bytes.Buffer
	_, err = tree.WriteTo(&text)
	must(t, err)
	return text.Bytes()
}

// in is the record of a country.
func in(code, name string) mmdbtype.Map {
	return mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.String(code), "names": mmdbtype.Map{"en": mmdbtype.String(name)}}}
}

// A file that changes is read again. What cannot be used leaves the countries as they were, and is
// said in the log once.
func TestCountryFile(t *testing.T) {
	path, network := filepath.Join(t.TempDir(), "countries.mmdb"), netip.MustParsePrefix("192.0.2.0/24")
	sweden, germany := countriesOf(t, "192.0.2.0/24", in("SE", "Sweden")), countriesOf(t, "192.0.2.0/24", in("DE", "Federal Republic of Germany"))
	must(t, os.WriteFile(path, sweden, 0o600))
	c := &config{}
	c.alerts.geoipFile = path
	c.alerts.refusals.Least, c.alerts.volume.Least = 1, 1
	must(t, c.alerts.check())
	country := (&parts{config: c, limits: &limits.Limiter{}}).watch().Country
	var log strings.Builder
	for _, tt := range []struct {
		name     string
		file     []byte // nil: it is gone
		code, is string
		message  string
	}{
		{"as it was", sweden, "SE", "Sweden", ""},
		{"another", germany, "DE", "Federal Republic of Germany", "read again"},
		{"a part of one", sweden[:len(sweden)/2], "DE", "Federal Republic of Germany", "going on with the one before"},
		{"gone", nil, "DE", "Federal Republic of Germany", "cannot be read again"},
		{"back", sweden, "SE", "Sweden", "read again"},
	} {
		log.Reset()
		must(t, os.RemoveAll(path+".new"))
		if before, err := os.ReadFile(path); tt.file == nil {
			must(t, os.Remove(path))
		} else if err != nil || !bytes.Equal(before, tt.file) {
			must(t, os.WriteFile(path+".new", tt.file, 0o600))
			must(t, os.Rename(path+".new", path))
		}
		for range 2 {
			c.alerts.countries.refresh(t.Context(), slog.New(slog.NewTextHandler(&log, nil)))
		}
		code, name := country(network)
		lines := strings.Count(log.String(), "\n")
		if code != tt.code || name != tt.is || !strings.Contains(log.String(), tt.message) || (lines == 1) != (tt.message != "") || lines > 1 {
			t.Errorf("%s: the network is in %q, %q; want %q, %q, and %q once in the log:\n%s", tt.name, code, name, tt.code, tt.is, tt.message, &log)
		}
	}
}

// A file that the server may not open yet is said once, and read as soon as it may, although leave to do
// so changes neither its time nor its size.
func TestFileThatMayNotBeRead(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may read all")
	}
	path, network := filepath.Join(t.TempDir(), "countries.mmdb"), netip.MustParsePrefix("192.0.2.0/24")
	must(t, os.WriteFile(path, countriesOf(t, network.String(), in("SE", "Sweden")), 0o600))
	f, err := openCountries(path)
	must(t, err)
	must(t, os.WriteFile(path, countriesOf(t, network.String(), in("DE", "Germany")), 0o600))
	var text strings.Builder
	log := slog.New(slog.NewTextHandler(&text, nil))
	for _, tt := range []struct {
		mode os.FileMode
		code string
	}{{0, "SE"}, {0o600, "DE"}} {
		must(t, os.Chmod(path, tt.mode))
		f.refresh(t.Context(), log)
		f.refresh(t.Context(), log)
		if code, _ := f.country(network); code != tt.code {
			t.Errorf("with mode %o the network is in %q; want %q", tt.mode, code, tt.code)
		}
	}
	if strings.Count(text.String(), "cannot be read again") != 1 {
		t.Errorf("the log says, want once that it cannot be read:\n%s", &text)
	}
}

// What is no database of countries is said when the server starts. Without a file no country is known.
func TestNoCountryFile(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string][]byte{
		"nonsense":  []byte("nonsense"),
		"providers": countriesOf(t, "192.0.2.0/24", mmdbtype.Map{"autonomous_system_number": mmdbtype.Uint32(64496)}),
	} {
		must(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	for name, want := range map[string]string{
		"absent": "no such file", "nonsense": "no database in MaxMind's format", "providers": "it names no countries",
	} {
		var stderr strings.Builder
		args := []string{"serve", "--listen", "127.0.0.1:0", "--data-dir", t.TempDir(), "--geoip-file", filepath.Join(dir, name)}
		if code := run(t.Context(), args, testEnvironment, io.Discard, &stderr); code != 2 || !strings.Contains(stderr.String(), "--geoip-file: ") || !strings.Contains(stderr.String(), want) {
			t.Errorf("serve with %s ends with %d: %s; want 2 and %q", name, code, &stderr, want)
		}
	}
	if watch := (&parts{config: &config{}, limits: &limits.Limiter{}}).watch(); watch.Country != nil {
		t.Error("without a file countries are known")
	}
}
