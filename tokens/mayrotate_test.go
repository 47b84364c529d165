package tokens

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/wardkey/wardkey/internal/databasetest"
)

// A key that grows old gets its successor from the server that may rotate, and from no other; a
// successor that is there takes over on all of them.
func TestMayRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		may := false
		k := newKeys(databasetest.SQLite(t), NewMasterKey())
		k.MayRotate = func() bool { return may }
		must(t, k.Start(t.Context(), ES256))
		first := k.All()[0].ID
		time.Sleep(k.Schedule.Rotate)
		must(t, k.step(t.Context()))
		if got := ids(k); len(got) != 1 {
			t.Errorf("a server that may not rotate has the keys %v", got)
		}
		may = true
		must(t, k.step(t.Context()))
		may = false
		if got := ids(k); len(got) != 2 {
			t.Fatalf("the one that may rotate has the keys %v", got)
		}
		time.Sleep(k.Schedule.Publish + time.Second)
		must(t, k.step(t.Context()))
		if got := signer(t, k, ES256); got == first {
			t.Error("the successor does not take over on a server that may not rotate")
		}
	})
}
