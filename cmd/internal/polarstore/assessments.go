package polarstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// A Check is what a version is assessed by: the slug is its name in specs.
type Check struct {
	ID   int64  `json:"id"`
	Slug string `json:"slug"`
}

// An Assessment is what is known of one check of a version as one instance type.
type Assessment struct {
	ID           int64     `json:"id"`
	Check        string    `json:"check"`         // its slug
	InstanceType string    `json:"instance_type"` // container, vm
	State        string    `json:"state"`         // created, running, passed, failed
	Cluster      string    `json:"cluster"`       // its name, empty where it was removed
	Created      time.Time `json:"created"`
}

// AddChecks adds checks that versions are to pass: all of them or none.
func (s *Store) AddChecks(ctx context.Context, slugs ...string) ([]Check, error) {
	word := regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$`)
	for _, slug := range slugs {
		if !word.MatchString(slug) {
			return nil, InvalidError{"slug": fmt.Sprintf("%q is not made of small letters, digits and dashes", slug)}
		}
	}
	var added []Check
	err := s.update(ctx, func(tx *sql.Tx) error {
		for _, slug := range slugs {
			c := Check{Slug: slug}
			err := tx.QueryRowContext(ctx, "INSERT INTO checks (slug) VALUES (?) ON CONFLICT (slug) DO NOTHING RETURNING id", slug).Scan(&c.ID)
			if errors.Is(err, sql.ErrNoRows) {
				return &RefusedError{"check " + slug + " exists already"}
			}
			if err != nil {
				return err
			}
			added = append(added, c)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("add checks: %w", err)
	}
	return added, nil
}

// Checks returns all checks, in the order in which they were added.
func (s *Store) Checks(ctx context.Context) ([]Check, error) {
	scan := func(scan func(...any) error) (c Check, err error) { return c, scan(&c.ID, &c.Slug) }
	all, err := list(ctx, s.read, scan, "SELECT id, slug FROM checks ORDER BY id")
	if err != nil {
		return nil, fmt.Errorf("list checks: %w", err)
	}
	return all, nil
}

// What scanAssessment scans, and where it comes from.
const (
	assessmentColumns = "a.id, c.slug, a.instance_type, a.state, coalesce(k.name, ''), a.created_at"
	assessmentTables  = "assessments a JOIN checks c ON c.id = a.check_id LEFT JOIN clusters k ON k.id = a.cluster_id"
	selectAssessment  = "SELECT " + assessmentColumns + " FROM " + assessmentTables + " "
)

// Assessment returns the version's assessment by the check as the instance type
// (container or vm), and makes it where there is none: there is one, whatever
// the cluster.
func (s *Store) Assessment(ctx context.Context, versionID, checkID, clusterID int64, instanceType string) (Assessment, error) {
	if instanceType != "container" && instanceType != "vm" {
		return Assessment{}, InvalidError{"instance_type": Invalid}
	}
	var a Assessment
	err := s.update(ctx, func(tx *sql.Tx) (err error) {
		if ok, err := exists(ctx, tx, "versions", versionID); err != nil {
			return err
		} else if !ok {
			return &NotFoundError{"version", strconv.FormatInt(versionID, 10)}
		}
		find := func() (Assessment, error) {
			return scanAssessment(tx.QueryRowContext(ctx, selectAssessment+
				"WHERE a.version_id = ? AND a.check_id = ? AND a.instance_type = ?", versionID, checkID, instanceType).Scan)
		}
		a, err = find()
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		wrong := InvalidError{}
		for field, ref := range map[string]struct {
			table string
			id    int64
		}{"check_id": {"checks", checkID}, "cluster_id": {"clusters", clusterID}} {
			if ok, err := exists(ctx, tx, ref.table, ref.id); err != nil {
				return err
			} else if !ok {
				wrong[field] = "does not exist"
			}
		}
		if len(wrong) > 0 {
			return wrong
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO assessments (version_id, check_id, cluster_id, instance_type, state, created_at)
			VALUES (?, ?, ?, ?, 'created', ?)`, versionID, checkID, clusterID, instanceType, millis(s.now()))
		if err != nil {
			return err
		}
		a, err = find()
		return err
	})
	if err != nil {
		return Assessment{}, fmt.Errorf("assessment of version %d: %w", versionID, err)
	}
	return a, nil
}

// exists tells whether the table, a constant of the caller's, has the row.
func exists(ctx context.Context, q querier, table string, id int64) (ok bool, err error) {
	err = q.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM "+table+" WHERE id = ?)", id).Scan(&ok)
	return ok, err
}

// Assessments returns what is known of a version, by check.
func (s *Store) Assessments(ctx context.Context, versionID int64) ([]Assessment, error) {
	all, err := list(ctx, s.read, scanAssessment, selectAssessment+"WHERE a.version_id = ? ORDER BY c.id, a.instance_type", versionID)
	if err != nil {
		return nil, fmt.Errorf("list assessments of version %d: %w", versionID, err)
	}
	return all, nil
}

func scanAssessment(scan func(...any) error) (a Assessment, err error) {
	var created int64
	err = scan(&a.ID, &a.Check, &a.InstanceType, &a.State, &a.Cluster, &created)
	a.Created = moment(created)
	return a, err
}

// FireAssessment fires an event on an assessment: run, pass or fail.
func (s *Store) FireAssessment(ctx context.Context, id int64, event string, by By) (Event, error) {
	m := assessmentStates()
	return once(ctx, s, by.Key, by.asked(m, id, event), func(tx *sql.Tx) (Event, error) {
		return m.fire(ctx, tx, id, event, by, s.now())
	})
}

// AssessmentEvents returns what happened to the assessment, oldest first.
func (s *Store) AssessmentEvents(ctx context.Context, id int64) ([]Event, error) {
	return assessmentStates().events(ctx, s.read, id)
}
