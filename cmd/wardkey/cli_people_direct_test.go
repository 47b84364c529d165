package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/wardkey/wardkey/internal/database"
)

// Who works on a store directly does not change its schema.
func TestAdminOfAnOlderSchema(t *testing.T) {
	eachStore(t, func(t *testing.T, url string) {
		s := openTestStore(t, url, t.TempDir())
		_, err := s.db.Exec(t.Context(), `DELETE FROM goose_db_version WHERE version_id > 1`)
		must(t, err)
		must(t, s.db.Close())
		environment := func(name string) string { return map[string]string{"WARDKEY_MASTER_KEY": testMasterKey}[name] }
		for _, args := range [][]string{{"list"}, {"show", "eva@example.com"}, {"remove", "eva@example.com", "--yes"}} {
			var said bytes.Buffer
			code := run(t.Context(), append(append([]string{"admin"}, args...), "--database", url), environment, &said, &said)
			if code != exitFailed || !strings.Contains(said.String(), "has version 1, this program's is ") || !strings.Contains(said.String(), "; run wardkey migrate first") {
				t.Errorf("%q ends with %d: %s", args, code, said.String())
			}
		}
		db, err := database.Open(url)
		must(t, err)
		defer db.Close()
		if schema, err := db.Schema(t.Context()); err != nil || schema.Version != 1 {
			t.Errorf("the schema has version %d, %v", schema.Version, err)
		}
	})
}
