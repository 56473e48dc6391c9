package checks

import (
	"math"
	"testing"
)

func TestQuantitiesAreComparedInTheirUnits(t *testing.T) {
	const mib = 1 << 20
	for _, tt := range []struct {
		kind    Kind
		expr    string
		actual  any // seconds, bytes
		message string
		ok      bool
	}{
		{Time, `"5s"`, 5.0, "", true},
		{Time, `5000`, 5.0, "", true}, // goss's milliseconds
		{Time, `"5000"`, 5, "", true},
		{Time, `{"lt": "5s"}`, 4.999, "", true},
		{Time, `{"lt": "5s"}`, 5.0, "5s is not less than 5s", false},
		{Time, `{"lt": 500}`, 0.25, "", true},
		{Time, `{"le": "1m30s"}`, 90.0, "", true},
		{Time, `{"le": "1m30s"}`, 90.25, "1m30.25s is not at most 1m30s", false},
		{Time, `{"gt": "250ms"}`, 0.2504, "", true},
		{Time, `{"equal": "0s"}`, 0, "", true},
		{Time, `{"and": [{"ge": "1s"}, {"lt": "2s"}]}`, 1.5, "", true},
		{Time, `{"not": {"lt": "1s"}}`, 2.0, "", true},
		{Time, `{"lt": "5s"}`, nil, "null is not a number", false},
		{Time, `{"not": {"lt": "5s"}}`, "late", `"late" is not a number`, false},
		{Size, `"200MiB"`, int64(200 * mib), "", true},
		{Size, `"0.5 GiB"`, int64(512 * mib), "", true},
		{Size, `"1 kB"`, 1000, "", true},
		{Size, `"1KB"`, 1000, "", true},
		{Size, `1024`, 1024, "", true},
		{Size, `{"le": "2 TiB"}`, int64(2 << 40), "", true},
		{Size, `{"lt": "200MiB"}`, int64(200*mib - 1), "", true},
		{Size, `{"lt": "200MiB"}`, int64(300 * mib), "300 MiB is not less than 200 MiB", false},
		{Size, `{"lt": "1.5MB"}`, int64(3 << 39), "1.5 TiB is not less than 1.4 MiB", false},
		{Size, `{"gt": 5}`, 0, "0 B is not greater than 5 B", false},
	} {
		t.Run(string(tt.kind)+" "+tt.expr, func(t *testing.T) {
			got := want(t, tt.kind, tt.expr).Match(tt.actual)
			if got.OK != tt.ok || got.Message != tt.message {
				t.Errorf("of %v: %v %q", tt.actual, got.OK, got.Message)
			}
		})
	}
}

func TestQuantitiesThatAreNoneAreRefused(t *testing.T) {
	for _, tt := range []struct {
		kind Kind
		expr string
		want string
	}{
		{Time, `"soon"`, `want a duration such as 5s, got "soon"`},
		{Time, `"-5s"`, `want a duration such as 5s, got "-5s"`},
		{Time, `1.5`, `want a duration such as 5s, got 1.5`},
		{Time, `true`, `want a duration such as 5s, got true`},
		{Time, `["5s"]`, `want a duration, got a list`},
		{Time, `[]`, `want a duration, got a list`},
		{Time, `{"lt": "five"}`, `lt wants a duration such as 5s, got "five"`},
		{Time, `{"lt": ["5s"]}`, `lt wants a duration such as 5s, got a list`},
		{Time, `{"have-len": 1}`, `have-len cannot be used here: the property is a duration`},
		{Size, `"200 miles"`, `want a size such as 200MiB, got "200 miles"`},
		{Size, `"MiB"`, `want a size such as 200MiB, got "MiB"`},
		{Size, `"-1MiB"`, `want a size such as 200MiB, got "-1MiB"`},
		{Size, `"Inf"`, `want a size such as 200MiB, got "Inf"`},
		{Size, `"1MiBKiB"`, `want a size such as 200MiB, got "1MiBKiB"`},
		{Size, `"1e308TiB"`, `want a size such as 200MiB, got "1e308TiB"`},
		{Size, `{"gt": true}`, `gt wants a size such as 200MiB, got true`},
		{Size, `{"contain-element": 1}`, `contain-element cannot be used here: the property is a size`},
	} {
		t.Run(string(tt.kind)+" "+tt.expr, func(t *testing.T) {
			_, err := ParseMatcher(tt.kind, expr(t, tt.expr))
			if err == nil || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func FuzzParseSize(f *testing.F) {
	for _, s := range []string{"200MiB", "1.5 GB", "7", "", "KiB", "1e400", "-0", "0x1p3", "1MiB ", "1e308TiB"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := parseSize(s)
		if err != nil {
			return
		}
		n, ok := numberOf(v)
		if !ok || compareNumbers(n, int64(0)) < 0 {
			t.Errorf("%q is %v", s, v)
		}
		if x, isFloat := v.(float64); isFloat && (math.IsNaN(x) || math.IsInf(x, 0)) {
			t.Errorf("%q is %v", s, v)
		}
	})
}

func TestSizesAreShownForPeople(t *testing.T) {
	for n, want := range map[float64]string{
		0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 200 << 20: "200 MiB", 1 << 40: "1 TiB", 1 << 51: "2048 TiB",
	} {
		if got := showSize(n); got != want {
			t.Errorf("%v: %s, want %s", n, got, want)
		}
	}
}
