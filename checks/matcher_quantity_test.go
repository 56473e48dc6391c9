package checks

import (
	"encoding/json"
	"testing"
)

func TestSizesAndTimesCompare(t *testing.T) {
	for _, tt := range []struct {
		kind   Kind
		expr   string
		actual any
		ok     bool
		says   string
	}{
		{Size, `"200MiB"`, int64(200 << 20), true, ""},
		{Size, `"200MiB"`, 200, false, ""},
		{Size, `1024`, 1024, true, ""},
		{Size, `"1KiB"`, 1024, true, ""},
		{Size, `"1kB"`, 1000, true, ""},
		{Size, `"1KB"`, 1000, true, ""},
		{Size, `"1.5 GB"`, 1_500_000_000, true, ""},
		{Size, `"0.5KiB"`, 512, true, ""},
		{Size, `" 7 B "`, 7, true, ""},
		{Size, `{"lt": "1KiB"}`, 1023, true, ""},
		{Size, `{"lt": "1KiB"}`, 1024, false, "1 KiB"},
		{Size, `{"le": "1TiB"}`, int64(1 << 40), true, ""},
		{Size, `{"gt": "1TB"}`, int64(1e12), false, ""},
		{Size, `{"and": [{"ge": "1MiB"}, {"lt": "2MiB"}]}`, 1 << 20, true, ""},
		{Size, `{"not": {"gt": "1MiB"}}`, 1 << 20, true, ""},
		{Size, `{"not": {"gt": "1MiB"}}`, "big", false, ""}, // what cannot be compared never holds
		{Time, `{"lt": "5s"}`, 4.9, true, ""},
		{Time, `{"lt": "5s"}`, 5.0, false, "5s"},
		{Time, `{"lt": 5000}`, 4, true, ""},
		{Time, `"1m30s"`, 90, true, ""},
	} {
		t.Run(string(tt.kind)+" "+tt.expr, func(t *testing.T) {
			m := want(t, tt.kind, tt.expr)
			got := m.Match(tt.actual)
			if got.OK != tt.ok {
				t.Errorf("of %v: %v, %s", tt.actual, got.OK, got.Message)
			}
			data, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			var back Matcher
			if err := json.Unmarshal(data, &back); err != nil || back.Match(tt.actual).OK != tt.ok {
				t.Errorf("over the wire it is another: %v, %s", err, data)
			}
		})
	}
}

func TestWhatIsNoSizeIsRefused(t *testing.T) {
	for _, text := range []string{`"big"`, `"5 MiBs"`, `"5Mi"`, `"MiB"`, `""`, `"-1"`, `-1`, `"-5KiB"`, `"1e400"`, `"NaN"`, `"Inf"`, `true`, `"5 m"`, `[1]`, `{"have-len": 1}`} {
		if m, err := ParseMatcher(Size, expr(t, text)); err == nil && m.IsSet() {
			t.Errorf("%s is taken", text)
		}
	}
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

func FuzzSize(f *testing.F) {
	for _, seed := range []string{"200MiB", "1.5 GB", "7", "-1", "NaN", "0x1p4KiB", "1e3kB"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := ParseBytes(s); err == nil && n < 0 {
			t.Errorf("%q is %d bytes", s, n)
		}
	})
}
