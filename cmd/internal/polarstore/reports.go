package polarstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// A Report is what a run found out about a version as one instance type. The last
// one is kept.
type Report struct {
	VersionID    int64
	InstanceType string            // container, vm
	Verdict      string            // pass, fail, error, skip
	Reason       string            // of the verdict, where no check has it
	Failures     map[string]string // why checks failed, by their slugs
	Posted       time.Time
	Document     []byte // the JSON report itself
}

// PutReport keeps the report in the place of the one before.
func (s *Store) PutReport(ctx context.Context, r Report) error {
	if r.InstanceType != "container" && r.InstanceType != "vm" {
		return InvalidError{"instance_type": Invalid}
	}
	failures, err := json.Marshal(r.Failures)
	if err != nil {
		return err
	}
	err = s.update(ctx, func(tx *sql.Tx) error {
		if ok, err := exists(ctx, tx, "versions", r.VersionID); err != nil {
			return err
		} else if !ok {
			return &NotFoundError{"version", strconv.FormatInt(r.VersionID, 10)}
		}
		_, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO reports (version_id, instance_type, verdict, reason, failures, posted_at, document)
			VALUES (?, ?, ?, ?, ?, ?, ?)`, r.VersionID, r.InstanceType, r.Verdict, r.Reason, string(failures), millis(s.now()), r.Document)
		return err
	})
	if err != nil {
		return fmt.Errorf("keep report of version %d: %w", r.VersionID, err)
	}
	return nil
}

const selectReport = "SELECT version_id, instance_type, verdict, reason, failures, posted_at"

// Reports returns the version's reports, by instance type.
func (s *Store) Reports(ctx context.Context, versionID int64) ([]Report, error) {
	all, err := list(ctx, s.read, scanReport, selectReport+", document FROM reports WHERE version_id = ? ORDER BY instance_type", versionID)
	if err != nil {
		return nil, fmt.Errorf("list reports of version %d: %w", versionID, err)
	}
	return all, nil
}

func scanReport(scan func(...any) error) (r Report, err error) {
	var failures string
	var posted int64
	if err := scan(&r.VersionID, &r.InstanceType, &r.Verdict, &r.Reason, &failures, &posted, &r.Document); err != nil {
		return r, err
	}
	r.Posted = moment(posted)
	return r, json.Unmarshal([]byte(failures), &r.Failures)
}
