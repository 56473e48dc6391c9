package checks

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestWhatExplainsAFailureIsShown(t *testing.T) {
	files, err := filepath.Glob("testdata/packages/failures/*.txt")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			output, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, golden := errorLines(string(output)), strings.TrimSuffix(file, ".txt")+".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func FuzzErrorLines(f *testing.F) {
	files, _ := filepath.Glob("testdata/packages/failures/*.txt")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Fuzz(func(t *testing.T, output string) {
		kept := errorLines(output)
		if output != "" && kept == "" {
			t.Error("nothing is left")
		}
		for line := range strings.Lines(kept) {
			if !strings.Contains(output, strings.TrimSuffix(line, "\n")) {
				t.Errorf("%q was not printed", line)
			}
		}
	})
}
