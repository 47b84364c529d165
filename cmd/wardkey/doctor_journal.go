package main

import (
	"context"
	"errors"
	"os"
)

// journalFile reads the journal; it returns nil if it cannot be used.
func (x *examination) journalFile() (known []entry, ok bool) {
	path := x.config.journalPath()
	known, torn, err := readJournal(path)
	info, statErr := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		x.found("journal", warning, "there is no %s, so nobody knows what a backup brings back; put the one of the server there, or the next start makes it anew from the audit log", path)
	case err != nil:
		x.found("journal", fault, "%v", err)
	case torn > 0:
		x.found("journal", warning, "the last line of %s is torn; the next start writes it again from the audit log", path)
		return known, true
	case statErr == nil && info.Mode().Perm()&0o077 != 0:
		x.found("journal", warning, "others on this machine can read %s (mode %04o); chmod 600 %s", path, info.Mode().Perm(), path)
		return known, true
	default:
		x.found("journal", passed, "%s has %s", path, plural(revocationsIn(known), "revocation"))
		return known, true
	}
	return nil, false
}

func revocationsIn(known []entry) (n int) {
	for _, e := range known {
		if !e.isMark() && !e.isLifting() {
			n++
		}
	}
	return n
}

// journal compares the journal with the database, and returns what the next start revokes again.
func (x *examination) journal(ctx context.Context) (again []entry) {
	known, ok := x.journalFile()
	if !ok {
		return nil
	}
	c, err := compare(ctx, x.db, known)
	if err != nil {
		x.found("journal", fault, "compare it with the database: %v", err)
		return nil
	}
	switch {
	case !c.continues:
		x.found("journal", warning, "%s; the next start marks that, and signs everybody out", c.explain())
	case len(c.behind) > 0:
		x.found("journal", warning, "%s not in it yet, but in the audit log; a running server writes that within a second, and the next start does",
			counted(len(c.behind), "revocation", "is"))
	}
	if len(c.again) > 0 {
		x.found("journal", warning, "%s known to it and not in effect in this database; wardkey restore-check lists what the next start revokes again",
			counted(len(c.again), "revocation", "is"))
	}
	return c.again
}
