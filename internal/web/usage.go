package web

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// A usageRange is how far back a chart goes.
type usageRange struct {
	ID, Name string
	Current  bool

	step string
	back time.Duration // to the beginning of the first step
}

// usageRanges are what one can choose from; the second is shown if nobody does.
var usageRanges = []usageRange{
	{ID: "24h", Name: "24 hours", step: "hour", back: 23 * time.Hour},
	{ID: "48h", Name: "2 days", step: "hour", back: 47 * time.Hour},
	{ID: "7d", Name: "7 days", step: "hour", back: (7*24 - 1) * time.Hour},
	{ID: "90d", Name: "90 days", step: "day", back: 89 * 24 * time.Hour},
	{ID: "2y", Name: "2 years", step: "day", back: 729 * 24 * time.Hour},
}

// chosenRange returns the range with an id, and all of them, that one marked.
func chosenRange(id string) (chosen usageRange, all []usageRange) {
	all = slices.Clone(usageRanges)
	i := slices.IndexFunc(all, func(r usageRange) bool { return r.ID == id })
	if i < 0 {
		i = 1
	}
	all[i].Current = true
	return all[i], all
}

// params are the range as the API knows it.
func (r usageRange) params(now time.Time) *adminclient.ReadUsageParams {
	since, step := now.UTC().Add(-r.back), adminclient.ReadUsageParamsStep(r.step)
	return &adminclient.ReadUsageParams{Since: &since, Step: &step}
}

// A usage is how a key was used, for the chart and for the table beside it.
type usage struct {
	Granted, Refused int64 // in all
	Range            string
	Ranges           []usageRange
	Days             []usageSpan // newest first, with requests
	Hours            []usageSpan // likewise; none if the chart has days
	Chart            string      // JSON: Unix times, granted, refused
}

// A usageSpan is an hour or a day with requests.
type usageSpan struct {
	Name             string
	Granted, Refused int64
}

func usageOf(counted adminclient.Usage) (usage, error) {
	u := usage{Granted: counted.Granted, Refused: counted.Refused}
	for _, item := range counted.Items {
		if counted.Step == "hour" {
			u.Hours = append(u.Hours, usageSpan{item.At.UTC().Format("2 January, 15:04 UTC"), item.Granted, item.Refused})
		}
		u.addToDay(item)
	}
	slices.Reverse(u.Hours)
	slices.Reverse(u.Days)
	text, err := json.Marshal(usageChart(counted))
	if err != nil {
		return u, fmt.Errorf("write the usage of a key: %w", err)
	}
	u.Chart = string(text)
	return u, nil
}

// addToDay adds to the last of the days, or begins another. Items come in order.
func (u *usage) addToDay(item adminclient.UsageItem) {
	day := item.At.UTC().Format("2 January 2006")
	if last := len(u.Days) - 1; last >= 0 && u.Days[last].Name == day {
		u.Days[last].Granted += item.Granted
		u.Days[last].Refused += item.Refused
		return
	}
	u.Days = append(u.Days, usageSpan{day, item.Granted, item.Refused})
}

// usageChart are the times of all hours or days, and what was granted and refused in each.
func usageChart(counted adminclient.Usage) (chart [3][]int64) {
	step := int64(time.Hour / time.Second)
	if counted.Step == "day" {
		step *= 24
	}
	first := counted.Since.Unix()
	steps := (counted.Until.Unix() - first) / step
	for i := range chart {
		chart[i] = make([]int64, steps)
	}
	for i := range steps {
		chart[0][i] = first + i*step
	}
	for _, item := range counted.Items {
		i := (item.At.Unix() - first) / step
		chart[1][i], chart[2][i] = item.Granted, item.Refused
	}
	return chart
}
