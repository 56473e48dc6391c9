package polar

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
)

// A Check is something that Polar tracks of versions under test.
type Check struct {
	ID   int64  `json:"id"`
	Slug string `json:"slug"`
}

// A Cluster is an LXD or Incus server to test on.
type Cluster struct {
	ID         int64      `json:"id"`
	Type       string     `json:"type"` // lxd or incus
	Arch       string     `json:"arch"` // amd64 or arm64
	State      string     `json:"current_state"`
	Credential Credential `json:"credential"`
	WaitTimes  []WaitTime `json:"instance_wait_times"`
}

// A Credential says where a cluster is and who may use it: the client's TLS
// identity there, in PEM.
type Credential struct {
	Endpoint    string `json:"endpoint"`
	Certificate string `json:"certificate"`
	PrivateKey  Secret `json:"private_key"`
	Password    Secret `json:"password"`
}

// A WaitTime is how long instances of a type take to get ready on a cluster.
type WaitTime struct {
	Type         string `json:"type"` // container or vm
	Milliseconds int64  `json:"duration"`
}

// The instance types of assessments, which are not quite LXD's.
const (
	Container = "container"
	VM        = "vm"
)

// The states of assessments.
const (
	Created = "created"
	Running = "running"
	Passed  = "passed"
	Failed  = "failed"
)

// The events of assessments, and the verdicts that Settle posts.
const (
	Run  = "run"
	Pass = "pass"
	Fail = "fail"
)

// An Assessment is Polar's record of a check of a version as an instance type.
type Assessment struct {
	ID    int64
	State string
	Slug  string // of the check
}

// Checks returns what Polar tracks.
func (c *Client) Checks(ctx context.Context) ([]Check, error) {
	var list []Check
	err := c.call(ctx, request{
		verb: "list", what: "tracked", name: "checks",
		method: http.MethodGet, path: "/publish/testing/checks", out: &list,
	})
	return list, err
}

// Clusters returns the healthy clusters.
func (c *Client) Clusters(ctx context.Context) ([]Cluster, error) {
	var list []Cluster
	err := c.call(ctx, request{
		verb: "list", what: "healthy", name: "clusters",
		method: http.MethodGet, path: "/publish/testing/clusters", out: &list,
	})
	return list, err
}

// Assessment returns the version's assessment of the check as the instance
// type, container or vm, and creates it where there is none. There is one
// whatever the cluster, which only a new one is given.
func (c *Client) Assessment(ctx context.Context, versionID, checkID, clusterID int64, instanceType string) (Assessment, error) {
	type subject struct {
		CheckID      int64  `json:"check_id"`
		ClusterID    int64  `json:"cluster_id"`
		InstanceType string `json:"instance_type"`
	}
	var row struct {
		ID    int64  `json:"id"`
		State string `json:"current_state"`
		Check Check  `json:"check"`
	}
	r := request{
		verb: "get", what: "assessment", name: fmt.Sprintf("of version %d, check %d, %s", versionID, checkID, instanceType),
		method: http.MethodPost,
		path:   "/publish/testing/versions/" + strconv.FormatInt(versionID, 10) + "/assessments",
		in:     map[string]subject{"assessment": {checkID, clusterID, instanceType}},
		out:    &row,
	}
	err := c.call(ctx, r)
	if err == nil && (row.ID <= 0 || !slices.Contains([]string{Created, Running, Passed, Failed}, row.State)) {
		err = fmt.Errorf("polar: get assessment %s: %w", r.name, errMalformed)
	}
	if err != nil {
		return Assessment{}, err
	}
	return Assessment{ID: row.ID, State: row.State, Slug: row.Check.Slug}, nil
}

// AssessmentEvent changes the assessment's state: run, pass or fail. Its errors
// are those of VersionEvent.
func (c *Client) AssessmentEvent(ctx context.Context, id int64, name string) error {
	return c.event(ctx, "assessment", "/publish/testing/assessments/", id, name, "")
}
