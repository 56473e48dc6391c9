package cli

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/report"
	"github.com/upmaru/icepak/cmd/internal/runner"
)

// durations are how long images took in earlier runs, in seconds, by product and type.
// They only decide what begins first.
type durations map[string]float64

// maxDurations bounds the file.
const maxDurations = 10_000

func durationKey(i report.Image) string { return i.Product + " " + i.Type }

// durationsFile has no path where there is no folder for it.
func (p *planner) durationsFile() string {
	if dir := stateFolder(p.env); dir != "" {
		return filepath.Join(dir, "durations.json")
	}
	return ""
}

// readDurations returns nothing where there is no such file.
func readDurations(path string) (durations, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var known durations
	if err == nil {
		err = json.Unmarshal(data, &known)
	}
	return known, err
}

// of is how long the image may take: what its product took as this type, else the mean
// of what is known of the type.
func (d durations) of(i report.Image) time.Duration {
	seconds, ok := d[durationKey(i)]
	if !ok {
		seconds = d[i.Type]
	}
	return time.Duration(seconds * float64(time.Second))
}

// withMeans adds the means of the types.
func (d durations) withMeans(jobs []runner.Job) durations {
	sum, n := map[string]float64{}, map[string]float64{}
	for _, job := range jobs {
		if seconds, ok := d[durationKey(job.Image)]; ok {
			sum[job.Image.Type] += seconds
			n[job.Image.Type]++
		}
	}
	all := durations{}
	for key, seconds := range d {
		all[key] = seconds
	}
	for typ := range sum {
		all[typ] = sum[typ] / n[typ]
	}
	return all
}

// expect notes in the jobs how long each may take, so that the longest begin first.
func (p *planner) expect(jobs []runner.Job) {
	path := p.durationsFile()
	if path == "" || len(jobs) < 2 || p.opts.many.order == orderGiven {
		return
	}
	known, err := readDurations(path)
	if err != nil {
		p.warn("how long earlier runs took is not known: %v", err)
		return
	}
	known = known.withMeans(jobs)
	for i := range jobs {
		jobs[i].Expected = known.of(jobs[i].Image)
	}
}

// learn remembers how long the images of a feed took that were decided. Runs that end
// at once may each lose what the other has learned.
func (p *planner) learn(sum report.Summary) {
	path := p.durationsFile()
	if path == "" || !p.opts.source.fromFeed() {
		return
	}
	known, _ := readDurations(path) // what cannot be read is made anew
	if known == nil {
		known = durations{}
	}
	learned := false
	for _, image := range sum.Images {
		var total time.Duration
		for _, stage := range image.Stages {
			total += stage.Duration
		}
		if total == 0 || image.Verdict != checks.Pass && image.Verdict != checks.Fail {
			continue
		}
		if _, ok := known[durationKey(image.Image)]; ok || len(known) < maxDurations {
			known[durationKey(image.Image)] = total.Round(time.Millisecond).Seconds()
			learned = true
		}
	}
	if !learned {
		return
	}
	if err := writeDurations(path, known); err != nil {
		p.warn("how long this run took is not remembered: %v", err)
	}
}

// writeDurations replaces the file, so that nobody reads a part of it.
func writeDurations(path string, d durations) error {
	data, err := json.MarshalIndent(d, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "durations.*")
	if err != nil {
		return err
	}
	_, err = f.Write(append(data, '\n'))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
