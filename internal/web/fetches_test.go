package web

import (
	"testing"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// What is said of who has a key, in the singular too, and only where it is worth a word.
func TestReach(t *testing.T) {
	const pending, active = adminclient.SigningKeyStatePending, adminclient.SigningKeyStateActive
	for _, tt := range []struct {
		state        adminclient.SigningKeyState
		seen, unseen int
		want         state
	}{
		{pending, 0, 0, state{}},
		{pending, 0, 1, state{"The only party of the last day does not have it yet; safe to rotate when all have.", "warn"}},
		{pending, 1, 0, state{"The only party of the last day has it: safe to rotate.", "right"}},
		{pending, 2, 3, state{"2 of 5 parties of the last day have it; safe to rotate when all have.", "warn"}},
		{pending, 1, 4, state{"1 of 5 parties of the last day has it; safe to rotate when all have.", "warn"}},
		{pending, 5, 0, state{"All 5 parties of the last day have it: safe to rotate.", "right"}},
		{active, 5, 0, state{}},
		{active, 2, 3, state{"2 of 5 parties of the last day have it. The others refuse tokens that it signs until they fetch the keys again.", "warn"}},
	} {
		k := adminclient.SigningKey{State: tt.state, SeenBy: &tt.seen, UnseenBy: &tt.unseen}
		if got := reach(k); got != tt.want {
			t.Errorf("reach of a %s key that %d have and %d do not = %+v; want %+v", tt.state, tt.seen, tt.unseen, got, tt.want)
		}
		if got := parties([]adminclient.SigningKey{{}, k}); got != tt.seen+tt.unseen {
			t.Errorf("parties = %d; want %d", got, tt.seen+tt.unseen)
		}
	}
	if got := reach(adminclient.SigningKey{State: adminclient.SigningKeyStateRetired}); got != (state{}) {
		t.Errorf("reach of a retired key = %+v; want nothing", got)
	}
}
