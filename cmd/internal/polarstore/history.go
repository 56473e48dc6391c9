package polarstore

import (
	"context"
	"fmt"
)

// An Entry is an event in a version's history: one of its own, or one of an
// assessment, whose check and instance type it then has.
type Entry struct {
	Event
	Check, InstanceType string
}

// History returns what happened to the version and to its assessments, oldest
// first.
func (s *Store) History(ctx context.Context, versionID int64) ([]Entry, error) {
	scan := func(scan func(...any) error) (e Entry, err error) {
		e.Event, err = scanEvent(also(scan, &e.Check, &e.InstanceType))
		return e, err
	}
	all, err := list(ctx, s.read, scan, `SELECT id, name, from_state, to_state, actor, comment, created_at, '', ''
			FROM version_events WHERE version_id = ?1
		UNION ALL SELECT e.id, e.name, e.from_state, e.to_state, e.actor, e.comment, e.created_at, c.slug, a.instance_type
			FROM assessment_events e JOIN assessments a ON a.id = e.assessment_id JOIN checks c ON c.id = a.check_id WHERE a.version_id = ?1
		ORDER BY 7, 8, 9, 1`, versionID)
	if err != nil {
		return nil, fmt.Errorf("list history of version %d: %w", versionID, err)
	}
	return all, nil
}
