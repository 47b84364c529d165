package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

func (c *cli) auditShowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show EVENT", Short: "Show one event, with what it changed",
		SuggestFor: []string{"get", "describe"},
		Long: `Show one event, by its number or its id, with what it changed. The log is gone through from its end,
so an old event takes a while.`,
		Example: "  wardkey audit show 1274\n  wardkey audit show 1274 --json",
		Args:    takes("EVENT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.admin()
			if err != nil {
				return err
			}
			e, err := api.event(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			p := c.printer(cmd)
			if p.json {
				return p.value(e)
			}
			return showEvent(p, e)
		},
	}
}

// event goes through the log from its end until there is the one that a word means.
func (a *adminAPI) event(ctx context.Context, word string) (e adminclient.AuditEvent, err error) {
	number, _ := strconv.ParseInt(word, 10, 64) // 0, which none has, if it is an id
	params := adminclient.ListAuditEventsParams{Limit: new(maxPage)}
	for {
		some, _, err := fetch[page[adminclient.AuditEvent]](a.ListAuditEvents(ctx, &params))
		if err != nil {
			return e, err
		}
		for _, e := range some.Items {
			if e.Seq == number || e.ID == word {
				return e, nil
			}
		}
		passed := number > 0 && len(some.Items) > 0 && some.Items[len(some.Items)-1].Seq < number
		if some.Next == nil || passed {
			return e, fmt.Errorf("there is no event %s; see wardkey audit list", quote(word))
		}
		params.Cursor = some.Next
	}
}

func showEvent(p *printer, e adminclient.AuditEvent) error {
	fields := [][2]string{
		{"Event", fmt.Sprintf("%d, %s", e.Seq, e.ID)},
		{"Time", stamped(&e.At, p.now)},
		{"Who", actorWords(e.Actor)},
		{"What", e.Action},
		{"Target", targetWords(e)},
		{"From", orDash(e.IP)},
		{"Request", orDash(e.RequestID)},
		{"Hash", e.Hash},
	}
	if e.Actor.Name != nil && e.Actor.Kind != adminclient.AuditActorKindAdmin {
		fields[2][1] += " (" + *e.Actor.Name + ")"
	}
	if err := p.fields(fields...); err != nil || len(e.Changes) == 0 {
		return err
	}
	rows := make([]row, 0, len(e.Changes))
	for _, member := range slices.Sorted(maps.Keys(e.Changes)) {
		change := e.Changes[member]
		after := changeWords(change.After)
		if change.Taken != nil {
			after = "without " + changeWords(change.Taken)
		}
		rows = append(rows, row{cells: []string{member, changeWords(change.Before), after}})
	}
	if err := p.say(""); err != nil {
		return err
	}
	return p.table([]string{"CHANGED", "BEFORE", "AFTER"}, rows)
}

// changeWords is a value of any JSON type in a line.
func changeWords(v any) string {
	switch v := v.(type) {
	case nil:
		return "-"
	case string:
		return v
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}
