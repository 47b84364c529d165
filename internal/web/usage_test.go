package web

import (
	"reflect"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

func TestUsageOf(t *testing.T) {
	begun := time.Date(2026, 3, 4, 22, 0, 0, 0, time.UTC)
	hours := make([]adminclient.UsageHour, 4)
	for i := range hours {
		hours[i] = adminclient.UsageHour{Hour: begun.Add(time.Duration(i) * time.Hour), Granted: int64(10 * i), Refused: int64(i)}
	}
	got, err := usageOf(hours)
	want := usage{
		Granted: 60, Refused: 6,
		Days:  []usageSpan{{"5 March 2026", 50, 5}, {"4 March 2026", 10, 1}},
		Hours: []usageSpan{{"5 March, 01:00 UTC", 30, 3}, {"5 March, 00:00 UTC", 20, 2}, {"4 March, 23:00 UTC", 10, 1}},
		Chart: `[[1772661600,1772665200,1772668800,1772672400],[0,10,20,30],[0,1,2,3]]`,
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("usageOf = %+v, %v; want %+v", got, err, want)
	}
}
