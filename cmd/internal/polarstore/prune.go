package polarstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// A Tested is a version in testing, and since when: its last event into testing,
// of which there may be several.
type Tested struct {
	Version
	Since time.Time `json:"since"`
}

// Overdue returns the versions that have been in testing for longer than after,
// the oldest first.
func (s *Store) Overdue(ctx context.Context, after time.Duration) ([]Tested, error) {
	return overdue(ctx, s.read, s.now().Add(-after))
}

// Prune makes the versions inactive that have been in testing for longer than
// after, and returns them.
func (s *Store) Prune(ctx context.Context, after time.Duration) (pruned []Tested, err error) {
	now := s.now()
	err = s.update(ctx, func(tx *sql.Tx) (err error) {
		if pruned, err = overdue(ctx, tx, now.Add(-after)); err != nil {
			return err
		}
		by := By{Actor: serverActor, Comment: "testing period expired"}
		for i, v := range pruned {
			ev, err := versionStates().fire(ctx, tx, v.ID, "deactivate", by, now)
			if err != nil {
				return err
			}
			pruned[i].State = ev.To
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("prune: %w", err)
	}
	return pruned, nil
}

func overdue(ctx context.Context, q querier, before time.Time) ([]Tested, error) {
	scan := func(scan func(...any) error) (v Tested, err error) {
		var created, since int64
		err = scan(&v.ID, &v.Product, &v.Serial, &v.State, &created, &since)
		v.Created, v.Since = moment(created), moment(since)
		return v, err
	}
	all, err := list(ctx, q, scan, `SELECT v.id, p.key, v.serial, v.state, v.created_at, max(e.created_at) AS since
		FROM versions v JOIN products p ON p.id = v.product_id JOIN version_events e ON e.version_id = v.id
		WHERE v.state = 'testing' AND e.to_state = 'testing'
		GROUP BY v.id HAVING since < ? ORDER BY since, v.id`, millis(before))
	if err != nil {
		return nil, fmt.Errorf("list overdue versions: %w", err)
	}
	return all, nil
}
