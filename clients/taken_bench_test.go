package clients

import (
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

// What it takes to take a Section from (nearly) 100,000 clients: first where each holds another
// and lives on, then where each holds no other and is deleted.
func BenchmarkTakeSection(b *testing.B) {
	benchEach(b, func(b *testing.B, db *database.DB, store *Store) {
		give := func(section string) {
			_, err := db.Exec(b.Context(), `INSERT INTO client_sections (client_id, section_id) SELECT id, $1 FROM clients WHERE NOT all_sections`, section)
			must(b, err)
		}
		take := func(section string) {
			begun, before := time.Now(), cpu(b)
			narrowed, deleted, err := store.TakeSection(b.Context(), section, "me", noon)
			must(b, err)
			b.Logf("%d clients narrowed and %d deleted in %s, of which this process computed %s", len(narrowed), len(deleted),
				time.Since(begun).Round(time.Millisecond), (cpu(b) - before).Round(time.Millisecond))
		}
		give("section-48")
		take("section-48")
		_, err := db.Exec(b.Context(), `DELETE FROM client_sections`)
		must(b, err)
		give("section-49")
		take("section-49")
	})
}
