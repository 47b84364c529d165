package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// A rotated is what the first step of a rotation made. With its client_id and client_secret, it is
// a file for --secret-file.
type rotated struct {
	ClientID     string             `json:"client_id"`
	ClientSecret string             `json:"client_secret"`
	Secret       adminclient.Secret `json:"secret"`
	Older        *usedSecret        `json:"older"` // null if there was none
}

// begin gives the client a second secret, and says how to go on.
func (w walk) begin(r *rotation, atOnce bool) error {
	if r.UnderWay {
		return w.underWay(r)
	}
	if atOnce && len(r.Secrets) == 1 {
		if err := w.flags.agreed.ask(w.cmd, w.outage(r)); err != nil {
			return err
		}
	}
	server, err := w.api.remote.metadata(w.cmd.Context()) // now, so that nothing can fail once there is a secret
	if err != nil {
		return err
	}
	var body adminclient.SecretCreate
	if atOnce || w.flags.overlapGiven {
		body.Overlap = new(int(w.flags.overlapSpan / time.Second))
	}
	made, _, err := fetch[adminclient.SecretCreated](w.api.AddSecret(w.cmd.Context(), w.client.ID, nil, body))
	if isProblem(err, "two-secrets") {
		return errors.New("somebody else began a rotation at this moment; see " + w.next(" --status"))
	}
	if err != nil {
		return err
	}
	if err := w.show(r, made, server, atOnce); err != nil || !w.flags.quietGiven || len(r.Secrets) == 0 {
		return err
	}
	return w.await(r.Secrets[0].ID, made.ID)
}

// underWay says how far the rotation is that was begun before.
func (w walk) underWay(r *rotation) error {
	older, newer := r.older(), r.newer()
	return fmt.Errorf(`a rotation of %s is under way, so no third secret is made
  older  …%s, %s
  newer  …%s, %s
Go on with one of:
  %s
  %s
  %s`, clientKind.called(w.client), clean(older.Hint), older.usage(r.now), clean(newer.Hint), newer.usage(r.now),
		w.next(" --status"), w.next(" --finish"), w.next(" --cancel"))
}

// outage asks whether the secret in use shall end at once.
func (w walk) outage(r *rotation) question {
	s := r.Secrets[0]
	return question{
		text: "Replace the secret of " + clientKind.called(w.client) + " at once?",
		effects: append([]string{
			fmt.Sprintf("Its secret …%s ends at once: it was %s.", clean(s.Hint), s.usage(r.now)),
			"Whoever uses it gets no more tokens until they have the new one.",
		}, s.users(r.now)...),
		word: w.client.Name, wordIs: "its name",
	}
}

// show prints the new secret, this once, and what to do now.
func (w walk) show(before *rotation, made adminclient.SecretCreated, server *serverMetadata, atOnce bool) error {
	if w.p.json {
		result := rotated{ClientID: w.client.ID, ClientSecret: made.ClientSecret, Secret: adminclient.Secret{
			ID: made.ID, Hint: made.Hint, CreatedAt: made.CreatedAt, LastUsedAt: made.LastUsedAt, ExpiresAt: made.ExpiresAt,
		}}
		if len(before.Secrets) == 1 {
			result.Older = &before.Secrets[0]
		}
		return w.p.value(result)
	}
	return w.p.say("Client ID      %s\nClient Secret  %s\n\nThe secret is shown this once: store it now.\n\n%s\n\n%s",
		w.client.ID, made.ClientSecret, curls(newClient{w.client, made.ClientSecret}, server), w.whatNow(before, made, atOnce))
}

// whatNow says what the state is after a secret was added, and the next commands.
func (w walk) whatNow(before *rotation, made adminclient.SecretCreated, atOnce bool) string {
	if len(before.Secrets) == 0 {
		return "It is the only live secret of " + clientKind.called(w.client) + "."
	}
	older := before.Secrets[0]
	if atOnce {
		return fmt.Sprintf("The older secret …%s has ended. Give the new one to every place where the client runs, now.", clean(older.Hint))
	}
	lives := "lives on until it is ended"
	if w.flags.overlapGiven {
		ends := before.now.Add(w.flags.overlapSpan)
		lives = endsBySelf(ends, before.now)
	}
	text := fmt.Sprintf(`Now both secrets of %s work:
  older  …%s, %s; %s
  newer  …%s
`, clientKind.called(w.client), clean(older.Hint), older.usage(before.now), lives, clean(made.Hint))
	if w.flags.quietGiven {
		return text + "Give the new one to every place where the client runs; what still uses the older one is told here."
	}
	return text + strings.Join([]string{
		"Next:",
		"  1. Give the new one to every place where the client runs.",
		"  2. Look who still uses the older one:  " + w.next(" --status"),
		"  3. Once nobody does, end it:           " + w.next(" --finish"),
		"  Or take all of this back:              " + w.next(" --cancel"),
	}, "\n")
}

// endsBySelf says when a live secret ends, also one that has only seconds left.
func endsBySelf(end, now time.Time) string {
	return fmt.Sprintf("ends by itself in %s, at %s", roughly(end.Sub(now)), clockTime(end))
}

// status shows the live secrets, who uses them, and what to do next.
func (w walk) status(r *rotation) error {
	if w.p.json {
		return w.p.value(r)
	}
	if err := w.p.say("%s\n", capital(clientKind.called(w.client))); err != nil {
		return err
	}
	if len(r.Secrets) == 0 {
		return w.p.say("It has no live secret, so it gets no tokens. Give it one:  %s", w.next(""))
	}
	if err := r.table(w.p); err != nil {
		return err
	}
	return w.p.say("\n%s", w.advice(r))
}

// advice is what to do next.
func (w walk) advice(r *rotation) string {
	if !r.UnderWay {
		return "No rotation is under way. Begin one:  " + w.next("")
	}
	older, newer := r.older(), r.newer()
	text := ""
	if newer.LastUsedAt == nil {
		text = fmt.Sprintf("The newer secret …%s was never used: has it been handed out?\n", clean(newer.Hint))
	}
	if older.ExpiresAt != nil {
		text += fmt.Sprintf("The older secret …%s %s.\n", clean(older.Hint), endsBySelf(*older.ExpiresAt, r.now))
	}
	if older.silence(r.now) >= w.flags.quietSpan {
		return text + fmt.Sprintf("The older secret …%s has been silent for %s. End it:  %s",
			clean(older.Hint), roughly(older.silence(r.now)), w.next(" --finish"))
	}
	return text + fmt.Sprintf("The older secret …%s was %s. Give the new one to who uses it, and end it once it is silent:\n  %s",
		clean(older.Hint), older.usage(r.now), w.next(" --finish --wait"))
}

// cancel brings back the state before the rotation.
func (w walk) cancel(r *rotation) error {
	if !r.UnderWay {
		return w.notUnderWay("cancel")
	}
	older, newer := r.older(), r.newer()
	err := w.flags.agreed.ask(w.cmd, question{
		text: "Take back the rotation of the secret of " + clientKind.called(w.client) + "?",
		effects: append([]string{
			fmt.Sprintf("The newer secret …%s ends: it was %s.", clean(newer.Hint), newer.usage(r.now)),
			"Whoever uses it gets no more tokens until they have the older one again.",
			fmt.Sprintf("The older secret …%s gets back the end that it had before.", clean(older.Hint)),
		}, newer.users(r.now)...),
		word: newer.Hint, wordIs: "what the newer one ends with",
	})
	if err != nil {
		return err
	}
	_, _, err = fetch[adminclient.Client](w.api.CancelRotation(w.cmd.Context(), w.client.ID, nil))
	if isProblem(err, "no-rotation") {
		return w.notUnderWay("cancel")
	}
	if err != nil && !isProblem(err, "already-done") {
		return err
	}
	return w.ended("Took the rotation back: secret …"+clean(newer.Hint)+" has ended, …"+clean(older.Hint)+" lives on.", w.client.ID)
}

func (w walk) notUnderWay(step string) error {
	return fmt.Errorf("there is no rotation of %s to %s: it has not two live secrets; see %s", clientKind.called(w.client), step, w.next(" --status"))
}

// finish ends the older secret if nobody uses it any more.
func (w walk) finish(r *rotation) error {
	if !r.UnderWay {
		return w.notUnderWay("finish")
	}
	older, newer := r.older(), r.newer()
	if w.flags.wait {
		return w.await(older.ID, newer.ID)
	}
	if older.silence(r.now) < w.flags.quietSpan {
		return fmt.Errorf("the older secret …%s of %s has not been silent for %s yet: it was %s%s\nWait for it:             %s\nOr end it all the same:  %s",
			clean(older.Hint), clientKind.called(w.client), w.flags.quiet, older.usage(r.now), indented(older.users(r.now)),
			w.next(" --finish --wait --quiet "+w.flags.quiet), w.next(" --finish --quiet 0s"))
	}
	effects := []string{fmt.Sprintf("It was %s; who uses it gets no more tokens.", older.usage(r.now))}
	if newer.LastUsedAt == nil {
		effects = append(effects, fmt.Sprintf("The newer secret …%s was never used: has it been handed out?", clean(newer.Hint)))
	}
	err := w.flags.agreed.ask(w.cmd, question{
		text:    fmt.Sprintf("End the older secret …%s of %s?", clean(older.Hint), clientKind.called(w.client)),
		effects: effects,
		word:    older.Hint, wordIs: "what it ends with",
	})
	if err != nil {
		return err
	}
	return w.end(w.cmd.Context(), older)
}

// end ends the older secret, and with it the rotation.
func (w walk) end(ctx context.Context, older usedSecret) error {
	_, _, err := fetch[struct{}](w.api.DeleteSecret(ctx, w.client.ID, older.ID, nil))
	if err != nil && !isProblem(err, "not-found") { // it ended by itself in this moment
		return err
	}
	return w.ended("The rotation is done: secret …"+clean(older.Hint)+" of "+clientKind.called(w.client)+" has ended.", w.client.ID)
}

// ended tells how the rotation ended.
func (w walk) ended(said, id string) error {
	if !w.p.json {
		return w.p.say("%s", said)
	}
	client, _, err := fetch[adminclient.Client](w.api.ReadClient(w.cmd.Context(), id, nil))
	if err != nil {
		return err
	}
	r, err := w.api.rotation(w.cmd.Context(), client)
	if err != nil {
		return err
	}
	return w.p.value(r)
}

// capital begins a text as a sentence begins.
func capital(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

// roughly is a time in words, never too short to tell.
func roughly(span time.Duration) string {
	if span >= 90*time.Second {
		return inWords(span)
	}
	return plural(int(span.Round(time.Second)/time.Second), "second")
}
