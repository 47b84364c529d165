package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/people"
	"github.com/wardkey/wardkey/tokens"
)

// A directStore is the store of a stopped server, as the flags of serve say where it is.
type directStore struct {
	config config
	set    *pflag.FlagSet
}

func (s *directStore) flags(cmd *cobra.Command) {
	s.set = pflag.NewFlagSet("store", pflag.ContinueOnError)
	s.set.StringVar(&s.config.dataDir, "data-dir", "./data", "work on the store of a stopped server: where it has its data")
	s.set.StringVar(&s.config.database, "database", "", "the same, by its database: sqlite:PATH or postgres://… (default sqlite:<data-dir>/wardkey.db)")
	s.set.StringVar(&s.config.masterKeyFile, "master-key-file", "", "its master key (default <data-dir>/master.key); WARDKEY_MASTER_KEY holds the key itself")
	cmd.PersistentFlags().AddFlagSet(s.set)
}

// given says whether a flag, not only the environment, asks for the store.
func (s *directStore) given(cmd *cobra.Command) bool {
	return cmd.Flags().Changed("data-dir") || cmd.Flags().Changed("database") || cmd.Flags().Changed("master-key-file")
}

// open runs fn with the persons in the store. Nothing is made that is not there: a mistyped
// directory must not become an empty store.
func (s *directStore) open(cmd *cobra.Command, getenv func(string) string, fn func(admins) error) (err error) {
	if err := s.config.fromEnvironment(s.set, getenv); err != nil {
		return usageError{err}
	}
	db, err := s.database()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	master, err := s.masterKey(cmd.Context(), db)
	if err != nil {
		return err
	}
	before, err := logEnd(cmd.Context(), db)
	if err != nil {
		return err
	}
	all := people.New(db, audit.NewLog(db, master.Derive("audit")))
	cmd.SetContext(audit.With(cmd.Context(), audit.Origin{Actor: audit.Actor{Kind: audit.CommandLine, ID: osUser(getenv)}}))
	err = fn(storedAdmins{all, people.NewSessions(all, false)})
	return errors.Join(err, s.journal(cmd.Context(), db, before))
}

// journal brings the journal of revocations up to date if anything was done: nobody else would
// before the next start, and a backup may be restored until then.
func (s *directStore) journal(ctx context.Context, db *database.DB, before position) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerPatience)
	defer cancel()
	end, err := logEnd(ctx, db)
	if err == nil && end != before {
		j := &journal{path: s.config.journalPath(), db: db, log: slog.New(slog.DiscardHandler)}
		err = j.catchUp(ctx)
	}
	if err != nil {
		return fmt.Errorf("it is done, but could not be written into the journal of revocations: %w", err)
	}
	return nil
}

// database opens the database, which must be there.
func (s *directStore) database() (*database.DB, error) {
	c := &s.config
	if c.database == "" {
		c.database = "sqlite:" + filepath.Join(c.dataDir, "wardkey.db")
	}
	if path, embedded := strings.CutPrefix(c.database, "sqlite:"); embedded {
		if _, err := os.Stat(path); err != nil {
			return nil, usagef("there is no store to work on: %w; say where it is with --data-dir or --database", err)
		}
	}
	db, err := database.Open(c.database)
	if errors.Is(err, database.ErrBadURL) {
		return nil, usagef("--database: %w", err)
	}
	if errors.Is(err, database.ErrInUse) {
		return nil, fmt.Errorf("the server is running on this store; leave out --data-dir, --database and --master-key-file to ask it, with wardkey login or WARDKEY_URL (%w)", err)
	}
	return db, err
}

// masterKey is the key of the store. With another one, its audit log would be sealed wrong.
func (s *directStore) masterKey(ctx context.Context, db *database.DB) (tokens.MasterKey, error) {
	if s.config.masterKeyFile == "" {
		s.config.masterKeyFile = filepath.Join(s.config.dataDir, "master.key")
	}
	master, err := s.config.loadMasterKey(false)
	if err != nil {
		return master, err
	}
	if err := upToDate(ctx, db); err != nil {
		return master, err
	}
	keys := tokens.Keys{DB: db, Master: master, Schedule: tokens.DefaultSchedule, Log: slog.New(slog.DiscardHandler)}
	return master, keys.Refresh(ctx) // opens them
}

// upToDate refuses a database whose schema is older than this program: who looks at admins must not
// change it for the server that is stopped.
func upToDate(ctx context.Context, db *database.DB) error {
	schema, err := db.Schema(ctx)
	if err == nil && len(schema.Pending()) > 0 {
		err = fmt.Errorf("the schema of this database has version %d, this program's is %d; run wardkey migrate first", schema.Version, schema.Latest())
	}
	return err
}

// osUser is who works on the store, for the audit log.
func osUser(getenv func(string) string) string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return orElse(getenv("USER"), "unknown")
}

// storedAdmins are those in a store.
type storedAdmins struct {
	people *people.People
	signed *people.Sessions
}

func showPerson(p *people.Person) adminclient.Admin {
	return adminclient.Admin{
		ID: p.ID, Email: p.Email, Role: adminclient.Role(p.Role), OneTimePassword: p.OneTimePassword,
		CreatedAt: p.CreatedAt.UTC(), LastSignInAt: unlessZero(p.LastSignInAt),
	}
}

func unlessZero(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return new(t.UTC())
}

// part is what of a list is read at once, and whether there is more.
func part[T, Shown any](limit int, read func(people.Page) ([]T, error), position func(*T) (time.Time, string), show func(*T) Shown) (page[Shown], error) {
	all := page[Shown]{Items: []Shown{}}
	if limit < 0 {
		return all, usagef("--limit must be at least 1, or 0 for all")
	}
	next := people.Page{Limit: maxPage}
	for {
		some, err := read(next)
		if err != nil {
			return all, err
		}
		for i := range some {
			if limit > 0 && len(all.Items) == limit {
				return all, nil
			}
			all.Items = append(all.Items, show(&some[i]))
			next.After, next.AfterID = position(&some[i])
		}
		if len(some) < maxPage {
			return all, nil
		}
	}
}

func (s storedAdmins) all(ctx context.Context, limit int) (page[adminclient.Admin], error) {
	return part(limit, func(p people.Page) ([]people.Person, error) { return s.people.List(ctx, p) },
		func(p *people.Person) (time.Time, string) { return p.CreatedAt, p.ID }, showPerson)
}

func (s storedAdmins) create(ctx context.Context, in adminclient.AdminCreate) (adminclient.AdminCreated, error) {
	var password people.Password
	var err error
	if in.Password != nil {
		password, err = s.people.NewPassword(ctx, in.Email, *in.Password)
	} else {
		password, err = s.people.OneTimePassword(ctx)
	}
	p := &people.Person{Email: in.Email, Role: people.Role(in.Role)}
	if err == nil {
		err = s.people.Create(ctx, p, password, time.Now())
	}
	if err != nil {
		return adminclient.AdminCreated{}, wordsOf(err)
	}
	a := showPerson(p)
	return adminclient.AdminCreated{
		ID: a.ID, Email: a.Email, Role: a.Role, OneTimePassword: a.OneTimePassword, CreatedAt: a.CreatedAt, Password: unlessEmpty(password.Reveal()),
	}, nil
}

func (s storedAdmins) setRole(ctx context.Context, id string, role adminclient.Role) (adminclient.Admin, error) {
	if err := s.people.SetRole(ctx, id, people.Role(role), time.Now()); err != nil {
		return adminclient.Admin{}, wordsOf(err)
	}
	p, err := s.people.Person(ctx, id)
	if err != nil {
		return adminclient.Admin{}, err
	}
	return showPerson(p), nil
}

func (s storedAdmins) resetPassword(ctx context.Context, id string) (string, error) {
	password, err := s.people.OneTimePassword(ctx)
	if err == nil {
		err = s.people.ResetPassword(ctx, id, password, time.Now())
	}
	if err != nil {
		return "", wordsOf(err)
	}
	return password.Reveal(), nil
}

func (s storedAdmins) remove(ctx context.Context, id string) error {
	return wordsOf(s.people.Remove(ctx, id, time.Now()))
}

func (s storedAdmins) sessions(ctx context.Context, adminID string, limit int) (page[adminclient.Session], error) {
	return part(limit, func(p people.Page) ([]people.Session, error) { return s.signed.List(ctx, adminID, p) },
		func(s *people.Session) (time.Time, string) { return s.CreatedAt, s.ID },
		func(s *people.Session) adminclient.Session {
			return adminclient.Session{
				ID: s.ID, Admin: showPerson(&s.Person), CreatedAt: s.CreatedAt.UTC(), SeenAt: s.SeenAt.UTC(), ExpiresAt: s.ExpiresAt.UTC(),
				IP: s.IP, UserAgent: s.UserAgent,
			}
		})
}

func (s storedAdmins) endSession(ctx context.Context, id string) error {
	err := s.signed.Revoke(ctx, id)
	if errors.Is(err, people.ErrNotFound) {
		return fmt.Errorf("there is no session %s, or no more; see wardkey admin sessions", quote(id))
	}
	return err
}

// wordsOf says what package people refuses as the admin API would.
func wordsOf(err error) error {
	if rule, ok := errors.AsType[people.Invalid](err); ok {
		return errors.New(told(adminclient.FieldError{Field: rule.Field, Detail: rule.Detail}))
	}
	for _, known := range []error{people.ErrEmailTaken, people.ErrLastOwner, people.ErrBusy, people.ErrNotFound} {
		if errors.Is(err, known) {
			return errors.New(strings.TrimPrefix(known.Error(), "people: "))
		}
	}
	return err
}
