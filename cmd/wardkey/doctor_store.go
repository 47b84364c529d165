package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/tokens"
)

// dataDirectory checks that only the server's user gets at what lies there.
func (x *examination) dataDirectory() {
	path := x.config.dataDir
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		x.found("data directory", warning, "%s is not there yet; the first start of wardkey serve makes it, or give --data-dir", path)
	case err != nil:
		x.found("data directory", fault, "%v", err)
	case !info.IsDir():
		x.found("data directory", fault, "%s is not a directory; give another --data-dir", path)
	case info.Mode().Perm()&0o077 != 0:
		x.found("data directory", warning, "others on this machine can look into %s (mode %04o); chmod 700 %s", path, info.Mode().Perm(), path)
	case owner(info) != -1 && owner(info) != os.Geteuid():
		x.found("data directory", warning, "%s belongs to user %d and this is user %d; run wardkey as the user that has it", path, owner(info), os.Geteuid())
	default:
		x.found("data directory", passed, "%s is this user's alone", path)
	}
}

// room is what is free on a disk.
type room struct {
	known                 bool
	free, total           uint64 // bytes
	freeFiles, totalFiles uint64 // zero where files are not counted
}

const (
	mebibyte = 1 << 20
	gibibyte = 1 << 30
)

func (x *examination) disk() {
	free, err := space(x.config.dataDir)
	if errors.Is(err, os.ErrNotExist) {
		return // that was said
	}
	if err != nil {
		x.found("disk", warning, "what is free is not known: %v", err)
		return
	}
	x.found("disk", free.judge(), "%s", free)
}

// judge says whether a server can go on writing. A full disk refuses every act of an admin.
func (r room) judge() string {
	switch few := r.totalFiles > 0 && r.freeFiles < 1000; {
	case !r.known:
		return skipped
	case r.free < 100*mebibyte || few:
		return fault
	case r.free < gibibyte || r.free < r.total/10 || r.freeFiles < r.totalFiles/10:
		return warning
	}
	return passed
}

func (r room) String() string {
	if !r.known {
		return "what is free is not known on this system"
	}
	text := fmt.Sprintf("%.1f of %.1f GiB are free", float64(r.free)/gibibyte, float64(r.total)/gibibyte)
	if r.totalFiles > 0 {
		text += fmt.Sprintf(", and room for %d files", r.freeFiles)
	}
	if result := r.judge(); result == warning || result == fault {
		text += "; make room, or give --data-dir another disk"
	}
	return text
}

// clock compares this machine's with the database's.
func (x *examination) clock(ctx context.Context) {
	if x.db.Embedded() {
		x.found("clock", passed, "the embedded database has the clock of this machine")
		return
	}
	var theirs time.Time
	began := time.Now()
	if err := x.db.QueryRow(ctx, `SELECT CURRENT_TIMESTAMP`).Scan(&theirs); err != nil {
		x.found("clock", fault, "ask the database for its time: %v", err)
		return
	}
	took := time.Since(began)
	x.offset("the database's clock", theirs.Sub(began.Add(took/2)), took/2)
}

// offset judges how far another clock is ahead of this one, give or take what is not known.
func (x *examination) offset(whose string, ahead, unsure time.Duration) {
	direction := "ahead of"
	if ahead < 0 {
		direction = "behind"
	}
	off := max(ahead.Abs()-unsure, 0).Round(100 * time.Millisecond)
	const advice = "; let both machines set theirs by NTP: secrets and tokens end by them"
	switch {
	case off > 30*time.Second:
		x.found("clock", fault, "%s is %s %s this one%s", whose, off, direction, advice)
	case off > 2*time.Second:
		x.found("clock", warning, "%s is %s %s this one%s", whose, off, direction, advice)
	default:
		x.found("clock", passed, "%s agrees with this one", whose)
	}
}

// schema says whether the schema is that of this program, and nothing can be read otherwise.
func (x *examination) schema(ctx context.Context) bool {
	schema, err := x.db.Schema(ctx)
	switch {
	case err != nil:
		x.found("schema", fault, "%v", err)
		return false
	case len(schema.Pending()) > 0:
		x.found("schema", warning, "it has version %d, this program's is %d; the next start brings it up to date, or wardkey migrate. Nothing more can be read until then", schema.Version, schema.Latest())
		return false
	case schema.Version > schema.Latest():
		x.found("schema", warning, "it has version %d, newer than this program's %d, which goes on working; update this program", schema.Version, schema.Latest())
	default:
		x.found("schema", passed, "version %d, the newest", schema.Version)
	}
	return true
}

// masterKey checks that the master key is there, is this user's alone, and opens the signing keys.
func (x *examination) masterKey(ctx context.Context) {
	c := x.config
	master, err := c.loadMasterKey(false)
	if err != nil {
		x.found("master key", fault, "%v", err)
		return
	}
	x.master = master
	keys := &tokens.Keys{DB: x.db, Master: master, Schedule: tokens.DefaultSchedule, Log: slog.New(slog.DiscardHandler)}
	err = keys.Refresh(ctx)
	if errors.Is(err, tokens.ErrMasterKey) {
		x.found("master key", fault, "%v", tokens.ErrMasterKey)
		return
	}
	if err != nil {
		x.found("master key", skipped, "whether it is the right one cannot be said: %v", err)
		return
	}
	x.keys = keys
	if info, err := os.Stat(c.masterKeyFile); err == nil && c.masterKey == "" && info.Mode().Perm()&0o077 != 0 {
		x.found("master key", warning, "others on this machine can read %s (mode %04o); chmod 600 %s", c.masterKeyFile, info.Mode().Perm(), c.masterKeyFile)
		return
	}
	x.found("master key", passed, "opens the %s of this database", plural(len(keys.All()), "signing key"))
}

// signingKeys checks that each algorithm in use has a key, and that what is due was done.
func (x *examination) signingKeys(ctx context.Context) {
	if x.keys == nil {
		return
	}
	used, err := x.algorithms(ctx)
	if err != nil {
		x.found("signing keys", fault, "%v", err)
		return
	}
	for _, alg := range used {
		active, late := x.keysOf(alg)
		next := active.ActivatedAt.Add(tokens.DefaultSchedule.Rotate)
		switch {
		case active.ActivatedAt.IsZero() && len(x.keys.All()) == 0:
			x.found("signing keys", warning, "there is none yet; the first start of wardkey serve makes it")
		case active.ActivatedAt.IsZero():
			x.found("signing keys", warning, "none signs %s; the next start makes one", alg)
		case len(late) > 0:
			x.found("signing keys", warning, "%s: %s; a running server does that within a second: see that one runs, and its log", alg, strings.Join(late, ", "))
		default:
			x.found("signing keys", passed, "%s: key %s signs, the next takes over %s", alg, active.ID, ago(&next, x.now))
		}
	}
}

// algorithms are those that the server or a client wants, and those that there are keys of.
func (x *examination) algorithms(ctx context.Context) ([]tokens.Alg, error) {
	all := map[tokens.Alg]bool{tokens.Alg(x.config.signingAlg): true}
	if byAudience, err := x.config.algsByAudience(); err == nil {
		for _, alg := range byAudience {
			all[alg] = true
		}
	}
	wanted, err := texts(ctx, x.db, `SELECT DISTINCT signing_alg FROM clients WHERE signing_alg <> ''`)
	for _, alg := range wanted {
		all[tokens.Alg(alg)] = true
	}
	return slices.Sorted(maps.Keys(all)), err
}

// keysOf returns the key that signs with alg, and what about its keys should have been done.
func (x *examination) keysOf(alg tokens.Alg) (active tokens.Key, late []string) {
	grace := x.now.Add(-time.Minute)
	for _, k := range x.keys.All() {
		switch {
		case k.Alg != alg:
		case k.State == tokens.Active:
			active = *k
			if k.ActivatedAt.Add(tokens.DefaultSchedule.Rotate).Before(grace) {
				late = append(late, "the key that signs is due to be replaced")
			}
		case k.State == tokens.Pending && k.ActivatesAt.Add(tokens.DefaultSchedule.Publish).Before(grace):
			late = append(late, "a new key is due to sign")
		case k.State == tokens.Retired && k.RemovesAt.Before(grace):
			late = append(late, "an old key is due to go")
		}
	}
	return active, late
}

// auditLog says where the log ends, and with full goes through all of it.
func (x *examination) auditLog(ctx context.Context, full bool) {
	end, err := logEnd(ctx, x.db)
	if err != nil {
		x.found("audit log", fault, "%v", err)
		return
	}
	if !full {
		x.found("audit log", passed, "ends at event %d, hash %s (--full checks every event)", end.seq, orElse(end.hash, "none"))
		return
	}
	if x.keys == nil {
		x.found("audit log", skipped, "it cannot be checked without the right master key")
		return
	}
	n, broken, err := audit.NewLog(x.db, x.master.Derive("audit")).Verify(ctx)
	switch {
	case err != nil:
		x.found("audit log", fault, "%v", err)
	case broken != nil:
		x.found("audit log", fault, "%s; the %s before it are as they were written. Compare with an export, and find out who can write to the database", broken.Reason, plural(int(n), "event"))
	default:
		x.found("audit log", passed, "whole: %s, the last with hash %s", plural(int(n), "event"), orElse(end.hash, "none"))
	}
}

// endings counts what ends soon or has ended.
func (x *examination) endings(ctx context.Context) {
	const soon = 14 * day
	until := database.At(x.now.Add(soon))
	now := database.At(x.now)
	var said []string
	for _, kind := range []struct{ name, verb, query string }{
		{"client", "has ended", `SELECT count(*) FROM clients WHERE expires_at <> 0 AND expires_at <= $1`},
		{"client", "ends", `SELECT count(*) FROM clients WHERE expires_at > $1 AND expires_at <= $2`},
		{"secret", "ends", `SELECT count(*) FROM client_secrets WHERE revoked_at = 0 AND expires_at > $1 AND expires_at <= $2`},
	} {
		args := []any{now, until}[:strings.Count(kind.query, "$")]
		var n int
		if err := x.db.QueryRow(ctx, kind.query, args...).Scan(&n); err != nil {
			x.found("endings", fault, "count what ends: %v", err)
			return
		}
		said = append(said, counted(n, kind.name, kind.verb))
	}
	x.found("endings", passed, "%s; %s and %s within 14 days", said[0], said[1], said[2])
}

// many are verbs as they go with more than one.
var many = map[string]string{"is": "are", "ends": "end", "has ended": "have ended"}

// counted says how many of something do something: 1 client ends, 2 clients end.
func counted(n int, noun, verb string) string {
	if n != 1 {
		verb = many[verb]
	}
	return plural(n, noun) + " " + verb
}
