package polarstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// A ProductStatus is a product with how its versions stand, the newest first.
type ProductStatus struct {
	Product
	Versions []VersionStatus
	Total    int // of versions, those included that are left out
}

// A VersionStatus is how a version stands.
type VersionStatus struct {
	Version
	Changed     time.Time // by its last event, or when it was made
	Comment     string    // of its last event
	Assessments []AssessmentStatus
	Reports     []Report // without their documents
}

// An AssessmentStatus is how a check of a version as an instance type stands.
type AssessmentStatus struct {
	Assessment
	VersionID int64
	Updated   time.Time // by its last event, or when it was made
	// Why is the reason of a failure from the report that came with it, or else
	// the last event's comment.
	Why string
}

// Overview returns how the product of that key stands, or all products where key
// is empty, by key. It has the newest versions of each, or all where newest is 0.
// However many there are, they take the same few queries.
func (s *Store) Overview(ctx context.Context, key string, newest int) ([]ProductStatus, error) {
	var products []ProductStatus
	err := s.view(ctx, func(tx *sql.Tx) (err error) {
		scan := func(scan func(...any) error) (p ProductStatus, err error) {
			p.Product, err = scanProduct(also(scan, &p.Total))
			return p, err
		}
		products, err = list(ctx, tx, scan, `SELECT id, key, requirements, (SELECT count(*) FROM versions WHERE product_id = products.id)
			FROM products WHERE ?1 = '' OR key = ?1 ORDER BY key`, key)
		if err != nil {
			return err
		}
		versions, err := versionStatuses(ctx, tx, `v.id IN (
			SELECT id FROM (
				SELECT v.id, row_number() OVER (PARTITION BY product_id ORDER BY v.created_at DESC, v.id DESC) AS place
				FROM `+versionTables+` WHERE ?1 = '' OR p.key = ?1)
			WHERE ?2 = 0 OR place <= ?2)`, key, newest)
		if err != nil {
			return err
		}
		for i := range products {
			for len(versions) > 0 && versions[0].Product == products[i].Key {
				products[i].Versions = append(products[i].Versions, versions[0])
				versions = versions[1:]
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read overview: %w", err)
	}
	if key != "" && len(products) == 0 {
		return nil, &NotFoundError{"product", key}
	}
	return products, nil
}

// VersionStatus returns how the version of that id stands.
func (s *Store) VersionStatus(ctx context.Context, id int64) (VersionStatus, error) {
	var found []VersionStatus
	err := s.view(ctx, func(tx *sql.Tx) (err error) {
		found, err = versionStatuses(ctx, tx, "v.id = ?", id)
		return err
	})
	if err != nil {
		return VersionStatus{}, fmt.Errorf("read version %d: %w", id, err)
	}
	if len(found) == 0 {
		return VersionStatus{}, &NotFoundError{"version", strconv.FormatInt(id, 10)}
	}
	return found[0], nil
}

// view runs f on one state of the database, whoever writes meanwhile.
func (s *Store) view(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := s.read.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	return f(tx)
}

// versionStatuses returns the versions that the condition chooses, by product, the
// newest first.
func versionStatuses(ctx context.Context, tx *sql.Tx, condition string, args ...any) ([]VersionStatus, error) {
	scan := func(scan func(...any) error) (v VersionStatus, err error) {
		var changed int64
		v.Version, err = scanVersion(also(scan, &changed, &v.Comment))
		v.Changed = moment(changed)
		return v, err
	}
	versions, err := list(ctx, tx, scan, "SELECT "+versionColumns+", coalesce(e.created_at, v.created_at), coalesce(e.comment, '') FROM "+versionTables+`
		LEFT JOIN version_events e ON e.id = (SELECT max(id) FROM version_events WHERE version_id = v.id)
		WHERE `+condition+" ORDER BY p.key, v.created_at DESC, v.id DESC", args...)
	if err != nil {
		return nil, err
	}
	places := map[int64]int{} // in versions, by id
	var ids []int64
	for i, v := range versions {
		places[v.ID] = i
		ids = append(ids, v.ID)
	}
	chosen, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	reports, err := list(ctx, tx, scanReport, selectReport+`, ''
		FROM reports WHERE version_id IN (SELECT value FROM json_each(?)) ORDER BY instance_type`, string(chosen))
	if err != nil {
		return nil, err
	}
	for _, r := range reports {
		v := &versions[places[r.VersionID]]
		v.Reports = append(v.Reports, r)
	}
	assessments, err := assessmentStatuses(ctx, tx, string(chosen))
	if err != nil {
		return nil, err
	}
	for _, a := range assessments {
		v := &versions[places[a.VersionID]]
		a.explain(v.Reports)
		v.Assessments = append(v.Assessments, a)
	}
	return versions, nil
}

// assessmentStatuses returns how the versions' assessments stand, by check. chosen is
// a JSON array of the versions' ids.
func assessmentStatuses(ctx context.Context, tx *sql.Tx, chosen string) ([]AssessmentStatus, error) {
	scan := func(scan func(...any) error) (a AssessmentStatus, err error) {
		var updated int64
		a.Assessment, err = scanAssessment(also(scan, &a.VersionID, &updated, &a.Why))
		a.Updated = moment(updated)
		return a, err
	}
	return list(ctx, tx, scan, "SELECT "+assessmentColumns+", a.version_id, coalesce(e.created_at, a.created_at), coalesce(e.comment, '') FROM "+assessmentTables+`
		LEFT JOIN assessment_events e ON e.id = (SELECT max(id) FROM assessment_events WHERE assessment_id = a.id)
		WHERE a.version_id IN (SELECT value FROM json_each(?)) ORDER BY c.id, a.instance_type`, chosen)
}

// also returns a scan of what another one scans, followed by more columns.
func also(scan func(...any) error, more ...any) func(...any) error {
	return func(dest ...any) error { return scan(append(dest, more...)...) }
}

// explain takes the reason of a failure from the report of the run that posted it:
// an older report tells of another one.
func (a *AssessmentStatus) explain(reports []Report) {
	for _, r := range reports {
		why := r.Failures[a.Check]
		if a.State == "failed" && r.InstanceType == a.InstanceType && why != "" && !r.Posted.Before(a.Updated) {
			a.Why = why
		}
	}
}
