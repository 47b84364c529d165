package countries

import (
	"bytes"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
)

// file is a database with records for networks.
func file(t *testing.T, version int, records map[string]mmdbtype.Map) []byte {
	t.Helper()
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "Test-Country", IPVersion: version, IncludeReservedNetworks: true})
	if err != nil {
		t.Fatal(err)
	}
	for network, record := range records {
		_, ipnet, err := net.ParseCIDR(network)
		if err != nil {
			t.Fatal(err)
		}
		if err := tree.Insert(ipnet, record); err != nil {
			t.Fatal(err)
		}
	}
	var text bytes.Buffer
	if _, err := tree.WriteTo(&text); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

// in is a record as the databases have it.
func in(code, name string) mmdbtype.Map {
	return mmdbtype.Map{
		"continent":          mmdbtype.Map{"code": mmdbtype.String("EU")},
		"country":            mmdbtype.Map{"iso_code": mmdbtype.String(code), "names": mmdbtype.Map{"de": mmdbtype.String("?"), "en": mmdbtype.String(name)}},
		"registered_country": mmdbtype.Map{"iso_code": mmdbtype.String("US")},
	}
}

var (
	nowhere  = mmdbtype.Map{"continent": mmdbtype.Map{"code": mmdbtype.String("EU")}}
	noName   = mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.String("AX")}}
	noRecord = mmdbtype.Map{"autonomous_system_number": mmdbtype.Uint32(64496)}
)

func TestCountry(t *testing.T) {
	d, err := Read(file(t, 6, map[string]mmdbtype.Map{
		"192.0.2.0/24":      in("SE", "Sweden"),
		"198.51.100.0/25":   in("SE", "Sweden"),
		"198.51.100.128/25": in("DE", "Germany"),
		"203.0.113.0/25":    in("SE", "Sweden"), // nothing is known of the other half
		"10.1.0.0/24":       nowhere,
		"10.2.0.0/24":       noName,
		"10.3.0.0/24":       in("Sweden", "Sweden"),
		"10.4.0.0/24":       in("S/", "x"),
		"10.5.0.0/24":       in("SE", "Swe\x00den"),
		"10.6.0.0/24":       in("SE", "Swe\xffden"),
		"2001:db8::/32":     in("DE", "Germany"),
	}))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ network, code, name string }{
		{"192.0.2.0/24", "SE", "Sweden"},
		{"192.0.2.7/32", "SE", "Sweden"},
		{"192.0.2.0/25", "SE", "Sweden"},
		{"198.51.100.0/24", "", ""},
		{"198.51.100.200/32", "DE", "Germany"},
		{"203.0.113.0/24", "SE", "Sweden"},
		{"203.0.113.200/32", "", ""},
		{"10.0.0.0/24", "", ""},
		{"10.1.0.0/24", "", ""},
		{"10.2.0.0/24", "AX", ""},
		{"10.3.0.0/24", "", ""},
		{"10.4.0.0/24", "", ""},
		{"10.5.0.0/24", "", ""},
		{"10.6.0.0/24", "", ""},
		{"2001:db8:1::/48", "DE", "Germany"},
		{"2001:db8:1:2::/64", "DE", "Germany"},
		{"2001:db9::/48", "", ""},
	} {
		if code, name := d.Country(netip.MustParsePrefix(tt.network)); code != tt.code || name != tt.name {
			t.Errorf("Country(%s) = %q, %q; want %q, %q", tt.network, code, name, tt.code, tt.name)
		}
	}
}

// A database of IPv4 alone knows nothing of IPv6.
func TestIPv4Database(t *testing.T) {
	d, err := Read(file(t, 4, map[string]mmdbtype.Map{"192.0.2.0/24": in("SE", "Sweden")}))
	if err != nil {
		t.Fatal(err)
	}
	for network, want := range map[string]string{"192.0.2.0/24": "SE", "2001:db8::/48": ""} {
		if code, _ := d.Country(netip.MustParsePrefix(network)); code != want {
			t.Errorf("Country(%s) = %q; want %q", network, code, want)
		}
	}
}

func TestRead(t *testing.T) {
	whole := file(t, 6, map[string]mmdbtype.Map{"192.0.2.0/24": in("SE", "Sweden")})
	many := map[string]mmdbtype.Map{"2001:db8::/32": in("SE", "Sweden")}
	for _, network := range []string{"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"} {
		many[network] = nowhere
	}
	for _, tt := range []struct {
		name string
		file []byte
		want string // "" if it is read
	}{
		{"countries", whole, ""},
		{"countries behind networks of none", file(t, 6, many), ""},
		{"nothing", nil, "no database in MaxMind's format"},
		{"nonsense", []byte(strings.Repeat("nonsense", 1000)), "no database in MaxMind's format"},
		{"a part", whole[:len(whole)/2], "no database in MaxMind's format"},
		{"networks of providers", file(t, 6, map[string]mmdbtype.Map{"192.0.2.0/24": noRecord}), `it names no countries (country.iso_code): it is a database of the type "Test-Country"`},
		{"no networks", file(t, 6, nil), "it names no countries"},
	} {
		_, err := Read(tt.file)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: Read = %v; want %q", tt.name, err, tt.want)
		}
	}
}
