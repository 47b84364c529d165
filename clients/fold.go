package clients

import (
	"context"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/wardkey/wardkey/internal/database"
)

// fold brings text to one case, the same way when it is stored and when it is asked for: the
// databases' own functions do not agree on letters beyond ASCII.
func fold(text string) string { return strings.ToLower(text) }

// containing is the LIKE pattern, with \ as its escape, of what contains the text.
func containing(text string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(fold(text)) + "%"
}

// findable says whether anything can contain the text: it is no longer than all that is searched,
// and it has nothing that no text has.
func findable(text string) bool {
	return utf8.ValidString(text) && utf8.RuneCountInString(text) <= maxDescription && !strings.ContainsAny(text, "\x00"+between)
}

// between stands between the texts that are searched, so that nothing is found across them.
const between = "\x1f"

// signs has a bit for each two neighbouring bytes of the text in its first number, and for each
// three in the others. A text that contains another has all bits of that one, which is much
// quicker to see than whether it contains it.
func signs(text string) (signs [3]int64) {
	for i := range len(text) - 1 {
		two := uint32(text[i])<<8 | uint32(text[i+1])
		signs[0] |= 1 << spread(two, 6)
		if i > 0 {
			bit := spread(uint32(text[i-1])<<16|two, 7)
			signs[1+bit/64] |= 1 << (bit % 64)
		}
	}
	return signs
}

// idSigns are the signs of an id, or of a part of one.
func idSigns(id string) (signs int64) {
	for i := range len(id) - 1 {
		signs |= 1 << spread(uint32(id[i])<<8|uint32(id[i+1]), 6)
	}
	return signs
}

// spread maps the bytes in n to a number of so many bits (Knuth's multiplicative hash).
func spread(n uint32, bits int) uint32 { return n * 2654435761 >> (32 - bits) }

// partOfID says whether an id can contain the text.
func partOfID(text string) bool {
	return len(text) <= len(nobodyID) && strings.Trim(text, "0123456789abcdef-") == ""
}

// saveSearch writes what the client is searched and sorted by.
func (s *Store) saveSearch(ctx context.Context, c *Client) error {
	name := fold(c.Name)
	text := name + between + fold(c.Description)
	has := signs(text)
	expires := int64(math.MaxInt64) // never comes last
	if !c.ExpiresAt.IsZero() {
		expires = c.ExpiresAt.Unix()
	}
	_, err := s.db.Exec(ctx, `INSERT INTO client_search (client_id, created_at, expires_at, disabled, all_sections,
			pair_signs, triple_signs, more_signs, id_signs, name, text)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		ON CONFLICT (client_id) DO UPDATE SET expires_at = excluded.expires_at, disabled = excluded.disabled,
			all_sections = excluded.all_sections, pair_signs = excluded.pair_signs, triple_signs = excluded.triple_signs,
			more_signs = excluded.more_signs, name = excluded.name, text = excluded.text`,
		c.ID, database.At(c.CreatedAt), expires, c.Disabled, c.holdsAllSections(), has[0], has[1], has[2], idSigns(c.ID), name, text)
	if err != nil {
		return fmt.Errorf("write what client %s is searched by: %w", c.ID, err)
	}
	return nil
}
