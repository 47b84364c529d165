package web

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// A usage is how a key was used, for the chart and for the table beside it.
type usage struct {
	Granted, Refused int64       // in all
	Days             []usageSpan // newest first, with requests
	Hours            []usageSpan // likewise
	Chart            string      // JSON: Unix times, granted, refused
}

// A usageSpan is an hour or a day with requests.
type usageSpan struct {
	Name             string
	Granted, Refused int64
}

func usageOf(hours []adminclient.UsageHour) (u usage, err error) {
	times, granted, refused := make([]int64, len(hours)), make([]int64, len(hours)), make([]int64, len(hours))
	for i, h := range hours {
		times[i], granted[i], refused[i] = h.Hour.Unix(), h.Granted, h.Refused
		u.Granted += h.Granted
		u.Refused += h.Refused
		if h.Granted+h.Refused == 0 {
			continue
		}
		u.Hours = append(u.Hours, usageSpan{h.Hour.UTC().Format("2 January, 15:04 UTC"), h.Granted, h.Refused})
		day := h.Hour.UTC().Format("2 January 2006")
		if last := len(u.Days) - 1; last >= 0 && u.Days[last].Name == day {
			u.Days[last].Granted += h.Granted
			u.Days[last].Refused += h.Refused
			continue
		}
		u.Days = append(u.Days, usageSpan{day, h.Granted, h.Refused})
	}
	slices.Reverse(u.Hours)
	slices.Reverse(u.Days)
	text, err := json.Marshal([][]int64{times, granted, refused})
	if err != nil {
		return u, fmt.Errorf("write the usage of a key: %w", err)
	}
	u.Chart = string(text)
	return u, nil
}
