// Package audit keeps the log of what admins do.
//
// Begin with [Log.Record], which writes one event in the transaction of the act that it tells of:
// both happen, or neither does. Who acts travels in the context ([With]).
//
// Events are never changed. Each carries a hash over itself and over the hash of the one before
// it, which anybody can check in an export, and a seal by a key that is not in the database,
// which only a server can make: whoever can write to the database alone can forge neither an
// event nor the end of the log ([Log.Verify]). An older state of the whole log, or none at all, it
// takes for what it is; that the log went back is for a witness outside of the database to say.
package audit

import (
	"context"
	"encoding/json"
	"time"
)

// An Actor is who did something. Its kind says what its id is of.
type Actor struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
	Name string `json:"name,omitempty"` // as it was at the time
}

// The kinds of actors.
const (
	Client      = "client"       // with a token of this server
	Admin       = "admin"        // a person, with a session
	CommandLine = "command_line" // on the store itself, while the server was stopped
	Server      = "server"       // on its own account, as when a key is due
	Nobody      = "nobody"       // has not proved who it is, as in a sign-in that failed
)

// String is the actor as created_by shows it.
func (a Actor) String() string {
	name := a.ID
	if a.Kind == Admin && a.Name != "" {
		name = a.Name
	}
	if name == "" {
		return a.Kind
	}
	return a.Kind + " " + name
}

// An Origin is where an act comes from.
type Origin struct {
	Actor     Actor
	IP        string
	RequestID string
}

type originKey struct{}

// With returns a context in which acts come from the origin.
func With(ctx context.Context, o Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// From returns where acts in ctx come from. What nobody asked for, the server does.
func From(ctx context.Context) Origin {
	if o, ok := ctx.Value(originKey{}).(Origin); ok {
		return o
	}
	return Origin{Actor: Actor{Kind: Server}}
}

// A Target is what something was done to.
type Target struct {
	Kind string `json:"kind"` // client, secret, section …
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

// A Change is a member of the target before and after the act; either is absent if there was or
// is none. Where only a part of a list went away with something else, that part is Taken. No
// secret ever stands in one.
type Change struct {
	Before any `json:"before,omitempty"`
	After  any `json:"after,omitempty"`
	Taken  any `json:"taken,omitempty"`
}

// An Event tells of one act. Its JSON is what the API shows, what an export holds, and what its
// hash is taken of.
type Event struct {
	Seq       int64           `json:"seq"` // 1, 2, 3 … without a gap
	ID        string          `json:"id"`
	At        time.Time       `json:"at"` // to the second
	Actor     Actor           `json:"actor"`
	Action    string          `json:"action"`
	Target    Target          `json:"target"`
	ClientID  string          `json:"client_id,omitempty"` // the client that it is about
	Changes   json.RawMessage `json:"changes"`             // an object of Changes by member
	IP        string          `json:"ip,omitempty"`
	RequestID string          `json:"request_id,omitempty"`
	Previous  string          `json:"previous"` // the hash of the event before it, "" for the first
	Hash      string          `json:"hash"`     // SHA-256 of this JSON without it, hex

	seal string
}
