package report

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/upmaru/icepak/checks"
)

func jsonReport(t *testing.T, s Summary) []byte {
	t.Helper()
	var out bytes.Buffer
	tell(t, NewJSON(&out), s)
	return out.Bytes()
}

func TestJSONFollowsItsSchema(t *testing.T) {
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	schema, err := compiler.Compile("../../../docs/report.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	list := append(runs(), run{"unknown verdicts", Summary{Images: []ImageResult{{
		Checks: []CheckResult{{Results: []checks.Result{{}, {When: checks.BeforeBoot}, {When: checks.AfterReboot}, {When: "never"}}}},
	}}}})
	for _, r := range list {
		t.Run(r.name, func(t *testing.T) {
			doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(jsonReport(t, r.summary)))
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(doc); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestJSONShowsRuns(t *testing.T) {
	for _, r := range runs() {
		switch r.name {
		case "promoted", "server gone", "hostile", "no images":
			t.Run(r.name, func(t *testing.T) {
				golden(t, r.name+".json", jsonReport(t, r.summary))
			})
		}
	}
}

// Unlike the other formats, JSON is for programs: nothing is taken away.
func TestJSONKeepsTextAsItIsAndIsSafeToPrint(t *testing.T) {
	doc := jsonReport(t, hostileGuest())
	assertSafe(t, string(doc))
	var got struct {
		Images []struct {
			Product string
			Checks  []struct {
				Results []struct{ Expected, Output any }
			}
		}
	}
	if err := json.Unmarshal(doc, &got); err != nil {
		t.Fatal(err)
	}
	want := strings.ToValidUTF8(strings.Replace(hostile, "\xff\xfe", "\xff \xfe", 1), "�")
	want = strings.Replace(want, "� �", "��", 1) // encoding/json's way: one for each byte
	result := got.Images[0].Checks[0].Results[0]
	for name, text := range map[string]any{"product": got.Images[0].Product, "expected": result.Expected, "output": result.Output} {
		if text != want {
			t.Errorf("%s: got %q, want %q", name, text, want)
		}
	}
}

func TestJSONIsBounded(t *testing.T) {
	long := strings.Repeat("é", jsonLimit)
	var list []any
	for range jsonLimit {
		list = append(list, "item")
	}
	s := oneCheck(CheckResult{Name: "x", Results: []checks.Result{{Expected: list, Actual: long, Message: long, Output: long}}})
	s.Images[0].Diagnostics = []Diagnostic{{"console", long}}
	if n := len(jsonReport(t, s)); n > 6*jsonLimit {
		t.Errorf("%d bytes", n)
	}
}

func TestJSONValues(t *testing.T) {
	tests := []struct {
		name     string
		in, want any
	}{
		{"booleans stay", false, false},
		{"numbers stay", 5.0, 5.0},
		{"lists and maps stay", map[string]any{"have-len": []any{1.0, nil}}, map[string]any{"have-len": []any{1.0, nil}}},
		{"nothing is left out", nil, nil},
		{"what JSON has no form for is text", math.Inf(1), "+Inf"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := oneCheck(CheckResult{Name: "x", Results: []checks.Result{{Actual: tt.in}}})
			var got struct {
				Images []struct {
					Checks []struct{ Results []struct{ Actual any } }
				}
			}
			if err := json.Unmarshal(jsonReport(t, s), &got); err != nil {
				t.Fatal(err)
			}
			if actual := got.Images[0].Checks[0].Results[0].Actual; !reflect.DeepEqual(actual, tt.want) {
				t.Errorf("got %#v, want %#v", actual, tt.want)
			}
		})
	}
}

func FuzzJSONIsSafe(f *testing.F) {
	f.Add(hostile)
	f.Add(`##\[x ##a\u005b[`)
	f.Fuzz(func(t *testing.T, s string) {
		sum := hostileGuest()
		sum.Images[0].Product = s
		sum.Images[0].Checks[0].Results[0].Actual = map[string]any{s: []any{s}}
		doc := jsonReport(t, sum)
		assertSafe(t, string(doc))
		if !json.Valid(doc) {
			t.Errorf("not JSON: %q", doc)
		}
	})
}
