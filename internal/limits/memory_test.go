package limits

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"
)

// heap is what is in use.
func heap() int64 {
	for range 3 { // what other tests have left goes in steps
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestMemory holds what is kept of a client that asked in the last seconds, and of strangers.
func TestMemory(t *testing.T) {
	const known = 100_000
	l, before := &Limiter{}, heap()
	for i := range known {
		l.share(fmt.Sprintf("6ba7b810-9dad-11d1-80b4-%012d", i)).limits = ofMinute(1000)
	}
	each := (heap() - before) / known
	t.Logf("a client takes %d bytes", each)
	if each > 512 {
		t.Errorf("a client takes %d bytes, want 512 at most", each)
	}
	runtime.KeepAlive(l)

	f, before := NewFailures(2), heap()
	f.UsedFrom = func(context.Context, string, time.Time) (map[string]time.Time, error) { return nil, nil }
	now := time.Now()
	f.fail("billing", "10.0.0.0", 10)
	for i := range 3 * maxYoung {
		f.Failed(fmt.Sprint(i), fmt.Sprintf("10.%d.%d.%d", i>>16+1, i>>8&255, i&255), now)
		f.Succeeded(fmt.Sprint(i), "192.0.2.1", now)
		f.Wait(t.Context(), fmt.Sprint("guess", i), "10.0.0.0", now)
	}
	strangers := heap() - before
	t.Logf("all that is kept of strangers takes %d bytes", strangers)
	if strangers > 8<<20 {
		t.Errorf("what is kept of strangers takes %d bytes, want 8 MB at most", strangers)
	}
	runtime.KeepAlive(f)
}
