package admin

import (
	"context"
	"time"

	"github.com/wardkey/wardkey/internal/admin/wire"
)

// usageHours is how many hours the usage of a client is shown for.
const usageHours = 48

// ReadUsage answers GET /clients/{id}/usage.
func (h endpoints) ReadUsage(ctx context.Context, req wire.ReadUsageRequestObject) (wire.ReadUsageResponseObject, error) {
	if _, err := h.client(ctx, req.ID); err != nil {
		return nil, err
	}
	first := time.Now().Truncate(time.Hour).Add(-(usageHours - 1) * time.Hour)
	granted, err := h.Clients.Hours(ctx, req.ID, first)
	if err != nil {
		return nil, err
	}
	refused, err := h.Refusals.Hours(ctx, req.ID, first)
	if err != nil {
		return nil, err
	}
	answer := wire.ReadUsage200JSONResponse{Hours: make([]wire.UsageHour, usageHours)}
	for i := range answer.Hours {
		begun := first.Add(time.Duration(i) * time.Hour)
		hour := begun.Unix() / int64(time.Hour/time.Second)
		answer.Hours[i] = wire.UsageHour{Hour: stamp(begun), Granted: granted[hour], Refused: refused[hour]}
	}
	return answer, nil
}
