package admin

import (
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/audit"
)

// What is taken from clients, because it is deleted, is recorded for each of them, so that the log
// of a client tells why it can no longer do something.

// losses are the acts by which clients lost what was deleted.
func losses(all clients.Losses) []audit.Act {
	acts := make([]audit.Act, len(all))
	for i, loss := range all {
		taken := map[string]audit.Change{}
		if len(loss.Sections) > 0 {
			taken["sections"] = audit.Change{Taken: loss.Sections}
		}
		if len(loss.Permissions) > 0 {
			taken["permissions"] = audit.Change{Taken: showPermissions(loss.Permissions)}
		}
		acts[i] = audit.Act{
			Action: "client.update", Target: audit.Target{Kind: "client", ID: loss.ClientID, Name: loss.Name},
			ClientID: loss.ClientID, Changes: taken, At: time.Now(),
		}
	}
	return acts
}

// deletions are the acts by which clients were deleted, other than by themselves.
func deletions(all clients.Tombstones) []audit.Act {
	acts := make([]audit.Act, len(all))
	for i, gone := range all {
		acts[i] = audit.Act{
			Action: "client.delete", Target: audit.Target{Kind: "client", ID: gone.ID, Name: gone.Name},
			ClientID: gone.ID, Changes: map[string]audit.Change{"name": {Before: gone.Name}}, At: time.Now(),
		}
	}
	return acts
}
