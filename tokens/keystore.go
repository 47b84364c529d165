package tokens

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/wardkey/wardkey/internal/database"
)

// Signing keys at rest: each private key is sealed with the master key.

const keyColumns = `kid, alg, state, private_key, created_at, activates_at, activated_at, retired_at, removes_at`

// read opens all keys in the store, oldest first.
func (k *Keys) read(ctx context.Context) ([]*Key, error) {
	rows, err := k.DB.Query(ctx, `SELECT `+keyColumns+` FROM signing_keys`)
	if err != nil {
		return nil, fmt.Errorf("read the signing keys: %w", err)
	}
	defer rows.Close()
	keys := []*Key{}
	for rows.Next() {
		var key Key
		var sealed string
		var created, activates, activated, retired, removes database.Time
		if err := rows.Scan(&key.ID, &key.Alg, &key.State, &sealed, &created, &activates, &activated, &retired, &removes); err != nil {
			return nil, fmt.Errorf("read the signing keys: %w", err)
		}
		key.CreatedAt, key.ActivatesAt, key.ActivatedAt = created.Time, activates.Time, activated.Time
		key.RetiredAt, key.RemovesAt = retired.Time, removes.Time
		der, err := k.Master.open(sealed, key.ID, key.Alg)
		if err != nil {
			return nil, err
		}
		if err := key.unmarshalPrivate(der); err != nil {
			return nil, err
		}
		keys = append(keys, &key)
	}
	slices.SortFunc(keys, older)
	return keys, rows.Err()
}

// older orders keys by age.
func older(a, b *Key) int {
	return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), strings.Compare(a.ID, b.ID))
}

// save writes the difference between before and after.
func (k *Keys) save(ctx context.Context, before, after []*Key) error {
	for _, key := range before {
		if !slices.ContainsFunc(after, func(x *Key) bool { return x.ID == key.ID }) {
			if _, err := k.DB.Exec(ctx, `DELETE FROM signing_keys WHERE kid = $1`, key.ID); err != nil {
				return err
			}
		}
	}
	for _, key := range after {
		der, err := key.marshalPrivate()
		if err != nil {
			return err
		}
		_, err = k.DB.Exec(ctx, `INSERT INTO signing_keys (`+keyColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
			ON CONFLICT (kid) DO UPDATE SET state = excluded.state, activates_at = excluded.activates_at,
				activated_at = excluded.activated_at, retired_at = excluded.retired_at, removes_at = excluded.removes_at`,
			key.ID, string(key.Alg), string(key.State), k.Master.seal(der, key.ID, key.Alg),
			database.At(key.CreatedAt), database.At(key.ActivatesAt), database.At(key.ActivatedAt),
			database.At(key.RetiredAt), database.At(key.RemovesAt))
		if err != nil {
			return err
		}
	}
	return nil
}
