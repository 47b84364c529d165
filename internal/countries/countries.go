// Package countries says in which country an address is, by a database of the operator's in the
// format of MaxMind (.mmdb), such as GeoLite2-Country or DB-IP's IP to Country Lite.
//
// Begin with [Read]. What a database does not know, and a network that is in several countries, is of
// no country. A network of which it knows only a part is where that is.
package countries

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode"

	"github.com/oschwald/maxminddb-golang/v2"
)

// A Database knows countries by addresses. It may be asked by many at once.
type Database struct{ reader *maxminddb.Reader }

// sample is of how many networks a database must name the country of one.
const sample = 1000

// Read reads a database from what its file holds, which is not to be changed afterwards. It returns
// an error for what is none, or names no countries.
func Read(file []byte) (*Database, error) {
	reader, err := maxminddb.OpenBytes(file)
	if err != nil {
		return nil, fmt.Errorf("it is no database in MaxMind's format (.mmdb): %w", err)
	}
	networks := 0
	for network := range reader.Networks() {
		if code, _, err := country(network); err == nil && code != "" {
			return &Database{reader}, nil
		}
		if networks++; networks == sample {
			break
		}
	}
	return nil, fmt.Errorf("it names no countries (country.iso_code): it is a database of the type %q", reader.Metadata.DatabaseType)
}

// Country is the country of a network by its ISO 3166 code, SE, and its English name, which is ""
// if the database has none. The code is "" if nobody knows, or the network is in several.
func (d *Database) Country(network netip.Prefix) (code, name string) {
	for part := range d.reader.NetworksWithin(network) {
		c, n, err := country(part)
		switch {
		case err != nil, c != "" && code != "" && c != code:
			return "", ""
		case c != "":
			code, name = c, n
		}
	}
	return code, name
}

var errDamaged = errors.New("a record is damaged")

func country(network maxminddb.Result) (code, name string, err error) {
	var record struct {
		Country struct {
			Code  string `maxminddb:"iso_code"`
			Names struct {
				English string `maxminddb:"en"`
			} `maxminddb:"names"`
		} `maxminddb:"country"`
	}
	if err := network.Decode(&record); err != nil {
		return "", "", err
	}
	code, name = record.Country.Code, record.Country.Names.English
	if code != "" && !isCode(code) || strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || r == unicode.ReplacementChar }) {
		return "", "", errDamaged
	}
	return code, name, nil
}

// isCode says whether a text is two letters, as the codes of ISO 3166-1 are.
func isCode(text string) bool {
	return len(text) == 2 && strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}
