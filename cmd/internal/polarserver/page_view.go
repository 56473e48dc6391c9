package polarserver

import (
	"fmt"
	"html/template"
	"time"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/polarstore"
	"github.com/upmaru/icepak/cmd/internal/report"
)

// What is shown of one report is bounded, whatever it holds.
const (
	maxChecks   = 200
	maxFailures = 50 // results
)

// pageFuncs are what the templates call. All text from outside goes through one of
// those that clean it; html/template escapes it.
func pageFuncs() template.FuncMap {
	return template.FuncMap{
		"line":    report.Line,
		"label":   report.Label,
		"explain": report.Explain,
		"tail":    report.Tail,
		"why":     report.Why,
		"lxdType": lxdType,
		"mark":    mark,
		"stamp":   func(t time.Time) string { return t.Format(time.RFC3339) },
		"short":   func(t time.Time) string { return t.Format("01-02 15:04") },
		"when":    func(t time.Time) string { return t.Format("2006-01-02 15:04") },
		"seconds": report.Seconds,
		"size":    report.Size,
	}
}

// mark is the sign of a state or a verdict, which is told by more than its colour.
func mark(state any) string {
	switch fmt.Sprint(state) {
	case "passed", "pass":
		return "✓"
	case "failed", "fail":
		return "✗"
	case "error":
		return "!"
	case "running":
		return "…"
	case "active":
		return "●"
	case "testing":
		return "◐"
	case "inactive":
		return "○"
	}
	return "–"
}

// A productView is a product's versions as a table: a row for each instance type, a
// column for each check.
type productView struct {
	Key      string
	Checks   []string
	Versions []versionRows
	Left     int  // versions that are not shown
	Single   bool // it is about one version, which needs no column
}

// versionRows are a version's part of the table.
type versionRows struct {
	polarstore.VersionStatus
	Rows            []typeRow
	Why             []reason
	Checks, Columns int // of the table, in number
	Single          bool
}

type typeRow struct {
	Type  string // LXD's name, or nothing where no type is known yet
	Cells []cell
}

// A cell is a check as an instance type.
type cell struct {
	Check string
	Found *polarstore.AssessmentStatus // nil where there is no assessment
}

// A reason says why something is in its state.
type reason struct{ State, What, Text string }

// newProductViews has as columns those of the checks, in their order, that any of the
// versions was assessed by: the same for all products.
func newProductViews(products []polarstore.ProductStatus, all []polarstore.Check) []productView {
	used := map[string]bool{}
	for _, p := range products {
		for _, v := range p.Versions {
			for _, a := range v.Assessments {
				used[a.Check] = true
			}
		}
	}
	var columns []string
	for _, c := range all {
		if used[c.Slug] {
			columns = append(columns, c.Slug)
		}
	}
	var views []productView
	for _, p := range products {
		view := productView{Key: p.Key, Checks: columns, Left: p.Total - len(p.Versions)}
		for _, v := range p.Versions {
			view.Versions = append(view.Versions, newVersionRows(v, columns))
		}
		views = append(views, view)
	}
	return views
}

// newSingleView is a version's table.
func newSingleView(v polarstore.VersionStatus, all []polarstore.Check) productView {
	product := polarstore.ProductStatus{Product: polarstore.Product{Key: v.Product}, Versions: []polarstore.VersionStatus{v}, Total: 1}
	view := newProductViews([]polarstore.ProductStatus{product}, all)[0]
	view.Single = true
	rows := &view.Versions[0]
	rows.Single, rows.Columns = true, rows.Columns-2
	return view
}

func newVersionRows(v polarstore.VersionStatus, all []string) versionRows {
	n := max(1, len(all))
	rows := versionRows{VersionStatus: v, Why: reasons(v), Checks: n, Columns: 3 + n}
	for _, instanceType := range []string{"container", "vm"} {
		if row, known := newTypeRow(v, instanceType, all); known {
			rows.Rows = append(rows.Rows, row)
		}
	}
	if len(rows.Rows) == 0 {
		rows.Rows = []typeRow{{}}
	}
	return rows
}

// newTypeRow also tells whether anything is known of the version as the type.
func newTypeRow(v polarstore.VersionStatus, instanceType string, all []string) (row typeRow, known bool) {
	row.Type = lxdType(instanceType)
	for _, r := range v.Reports {
		known = known || r.InstanceType == instanceType
	}
	for _, check := range all {
		c := cell{Check: check}
		for i, a := range v.Assessments {
			if a.Check == check && a.InstanceType == instanceType {
				c.Found, known = &v.Assessments[i], true
			}
		}
		row.Cells = append(row.Cells, c)
	}
	return row, known
}

// reasons lists what is known of why the version's checks are as they are.
func reasons(v polarstore.VersionStatus) []reason {
	var all []reason
	for _, r := range v.Reports {
		if r.Reason != "" && (r.Verdict == string(checks.Fail) || r.Verdict == string(checks.Error)) {
			all = append(all, reason{r.Verdict, lxdType(r.InstanceType), r.Reason})
		}
	}
	for _, a := range v.Assessments {
		if a.Why != "" {
			all = append(all, reason{a.State, a.Check + ", " + lxdType(a.InstanceType), a.Why})
		}
	}
	return all
}

// A versionView is all that is known of a version.
type versionView struct {
	productView
	Version polarstore.VersionStatus
	Reports []reportView
	History []polarstore.Entry
	Files   []polarstore.Item
}

// Title is what the browser's tab says.
func (v versionView) Title() string { return v.Key + " " + report.Line(v.Version.Serial) }

// A reportView is a report, its failures apart.
type reportView struct {
	InstanceType string
	Posted       time.Time
	By           string // icepak's version
	Broken       string // why there is nothing of it to show, or nothing
	Image        report.ImageResult
	Failures     []failures
	Left         int // failures that are not shown
}

// failures are a check's results that did not pass.
type failures struct {
	Check   string
	Results []checks.Result
}

func newReportView(r polarstore.Report) reportView {
	view := reportView{InstanceType: r.InstanceType, Posted: r.Posted}
	run, err := report.ParseJSON(r.Document)
	if err != nil || len(run.Images) != 1 {
		view.Broken = fmt.Sprintf("It cannot be read: %v", err)
		return view
	}
	view.By, view.Image = run.Version, run.Images[0]
	view.Image.Checks = view.Image.Checks[:min(len(view.Image.Checks), maxChecks)]
	room := maxFailures
	for _, c := range view.Image.Checks {
		f := failures{Check: c.Name}
		for _, res := range c.Results {
			if res.Verdict == checks.Pass || res.Verdict == checks.Skip {
				continue
			}
			if room--; room < 0 {
				view.Left++
				continue
			}
			f.Results = append(f.Results, res)
		}
		if len(f.Results) > 0 {
			view.Failures = append(view.Failures, f)
		}
	}
	return view
}
