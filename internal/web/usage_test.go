package web

import (
	"reflect"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

func TestUsageOf(t *testing.T) {
	begun := time.Date(2026, 3, 4, 22, 0, 0, 0, time.UTC)
	midnight := begun.Add(-22 * time.Hour)
	for _, tt := range []struct {
		name    string
		counted adminclient.Usage
		want    usage
	}{
		{
			"hours",
			adminclient.Usage{Step: "hour", Since: begun, Until: begun.Add(4 * time.Hour), Granted: 60, Refused: 6, Items: []adminclient.UsageItem{
				{At: begun.Add(time.Hour), Granted: 10, Refused: 1},
				{At: begun.Add(2 * time.Hour), Granted: 20, Refused: 2},
				{At: begun.Add(3 * time.Hour), Granted: 30, Refused: 3},
			}},
			usage{
				Granted: 60, Refused: 6,
				Days:  []usageSpan{{"5 March 2026", 50, 5}, {"4 March 2026", 10, 1}},
				Hours: []usageSpan{{"5 March, 01:00 UTC", 30, 3}, {"5 March, 00:00 UTC", 20, 2}, {"4 March, 23:00 UTC", 10, 1}},
				Chart: `[[1772661600,1772665200,1772668800,1772672400],[0,10,20,30],[0,1,2,3]]`,
			},
		},
		{
			"days",
			adminclient.Usage{Step: "day", Since: midnight, Until: midnight.Add(72 * time.Hour), Granted: 3, Refused: 7, Items: []adminclient.UsageItem{
				{At: midnight, Granted: 1, Refused: 7},
				{At: midnight.Add(48 * time.Hour), Granted: 2},
			}},
			usage{
				Granted: 3, Refused: 7,
				Days:  []usageSpan{{"6 March 2026", 2, 0}, {"4 March 2026", 1, 7}},
				Chart: `[[1772582400,1772668800,1772755200],[1,0,2],[7,0,0]]`,
			},
		},
		{"nothing", adminclient.Usage{Step: "day", Since: midnight, Until: midnight}, usage{Chart: `[[],[],[]]`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := usageOf(tt.counted)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("usageOf = %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}

// Whatever is asked for, one range is chosen, and its first step lies within it.
func TestChosenRange(t *testing.T) {
	now := time.Date(2026, 3, 4, 22, 30, 0, 0, time.UTC)
	for id, want := range map[string]string{
		"": "2 days from 2026-03-02 23:30", "24h": "24 hours from 2026-03-03 23:30", "7d": "7 days from 2026-02-25 23:30",
		"90d": "90 days from 2025-12-05 22:30", "2y": "2 years from 2024-03-05 22:30", "<x>": "2 days from 2026-03-02 23:30",
	} {
		chosen, all := chosenRange(id)
		marked := 0
		for _, r := range all {
			if r.Current {
				marked++
			}
		}
		if got := chosen.Name + " from " + chosen.params(now).Since.Format("2006-01-02 15:04"); got != want || marked != 1 {
			t.Errorf("chosenRange(%q) is %s, and %d are marked; want %s and one", id, got, marked, want)
		}
	}
}
