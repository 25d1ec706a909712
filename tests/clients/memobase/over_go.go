// The requests of Memobase's Go client, which no registry serves, and its way of reading the answers: times as
// RFC 3339, results of a search for gists in `events`, an error for every errno that is not 0.
//
// over_go ADDRESS KEY USER: one conversation, told as JSON.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"
)

var base, key string

type answer struct {
	Data   json.RawMessage `json:"data"`
	Errno  int             `json:"errno"`
	Errmsg string          `json:"errmsg"`
}

type profile struct {
	ID         string    `json:"id"`
	Content    string    `json:"content"`
	CreatedAt  time.Time `json:"created_at"`
	UpdatedAt  time.Time `json:"updated_at"`
	Attributes struct {
		Topic    string `json:"topic"`
		SubTopic string `json:"sub_topic"`
	} `json:"attributes"`
}

type event struct {
	ID        string    `json:"id"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	EventData struct {
		ProfileDelta []struct {
			Content    string         `json:"content"`
			Attributes map[string]any `json:"attributes"`
		} `json:"profile_delta"`
		EventTip  string `json:"event_tip"`
		EventTags []struct {
			Tag   string `json:"tag"`
			Value string `json:"value"`
		} `json:"event_tags"`
	} `json:"event_data"`
	GistData struct {
		Content string `json:"content"`
	} `json:"gist_data"`
	Similarity float64 `json:"similarity"`
}

// ask sends what that client sends; a body of nil is none, with its content type all the same.
func ask(method, path string, body any) (answer, error) {
	var read answer
	var sent io.Reader
	if body != nil {
		written, err := json.Marshal(body)
		if err != nil {
			return read, err
		}
		sent = bytes.NewReader(written)
	}
	request, err := http.NewRequest(method, base+path, sent)
	if err != nil {
		return read, err
	}
	if method == http.MethodPost || method == http.MethodPut {
		request.Header.Set("Content-Type", "application/json")
	}
	request.Header.Add("Authorization", "Bearer "+key)
	response, err := (&http.Client{Timeout: time.Minute}).Do(request)
	if err != nil {
		return read, err
	}
	defer response.Body.Close()
	if response.StatusCode >= 400 {
		return read, fmt.Errorf("HTTP %d", response.StatusCode)
	}
	if err := json.NewDecoder(response.Body).Decode(&read); err != nil {
		return read, err
	}
	if read.Errno != 0 {
		return read, fmt.Errorf("errno %d: %s", read.Errno, read.Errmsg)
	}
	return read, nil
}

// told is what a request came to, read as T; anything unexpected ends the program.
func told[T any](method, path string, body any) T {
	var into T
	read, err := ask(method, path, body)
	if err == nil && len(read.Data) > 0 {
		err = json.Unmarshal(read.Data, &into)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, method, path, err)
		os.Exit(1)
	}
	return into
}

func query(pairs ...string) string {
	values := url.Values{}
	for at := 0; at < len(pairs); at += 2 {
		values.Add(pairs[at], pairs[at+1])
	}
	return "?" + values.Encode()
}

func main() {
	base, key = os.Args[1]+"/api/v1", os.Args[2]
	user := os.Args[3]
	out := map[string]any{}
	users(user, out)
	blobs(user, out)
	profiles(user, out)
	events(user, out)
	project(out)
	told[any]("DELETE", "/users/"+user, nil)
	_, gone := ask("GET", "/users/"+user, nil)
	out["gone"] = fmt.Sprint(gone)
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		os.Exit(1)
	}
}

type made struct {
	ID string `json:"id"`
}

type ids struct {
	IDs []string `json:"ids"`
}

func users(user string, out map[string]any) {
	told[any]("GET", "/healthcheck", nil)
	_, unknown := ask("GET", "/users/"+user, nil)
	out["unknown"] = fmt.Sprint(unknown)
	out["user"] = told[made]("POST", "/users", map[string]any{"data": nil, "id": user}).ID
	told[made]("PUT", "/users/"+user, map[string]any{"name": "Gus"})
	out["kept"] = told[struct {
		Data      map[string]any `json:"data"`
		CreatedAt time.Time      `json:"created_at"`
	}]("GET", "/users/"+user, nil).Data
}

func blobs(user string, out map[string]any) {
	said := []map[string]string{{"role": "user", "content": "My dog is called Biscuit."}}
	chat := map[string]any{
		"blob_type": "chat",
		"blob_data": map[string]any{"messages": said},
		"fields":    nil,
	}
	id := told[made]("POST", "/blobs/insert/"+user+"?wait_process=false", chat).ID
	blob := told[struct {
		BlobType string `json:"blob_type"`
		BlobData struct {
			Messages []struct {
				Content string `json:"content"`
			} `json:"messages"`
		} `json:"blob_data"`
		CreatedAt *time.Time `json:"created_at"`
		UpdatedAt *time.Time `json:"updated_at"`
	}]("GET", "/blobs/"+user+"/"+id, nil)
	out["blob"] = blob.BlobType + ": " + blob.BlobData.Messages[0].Content
	out["listed"] = told[ids]("GET", "/users/blobs/"+user+"/chat?page=0&page_size=10", nil).IDs[0] == id
	out["idle"] = len(told[ids]("GET", "/users/buffer/capacity/"+user+"/chat?status=idle", nil).IDs)
	told[any]("POST", "/users/buffer/"+user+"/chat?wait_process=true", nil)
	told[any]("POST", "/users/buffer/"+user+"/doc?wait_process=true", nil)
	page := map[string]any{"blob_type": "doc", "blob_data": map[string]string{"content": "A page."}, "fields": nil}
	page["created_at"] = time.Now()
	doc := told[made]("POST", "/blobs/insert/"+user+"?wait_process=true", page).ID
	told[any]("DELETE", "/blobs/"+user+"/"+doc, nil)
	_, deleted := ask("GET", "/blobs/"+user+"/"+doc, nil)
	out["deleted"] = deleted != nil
}

func slot(content string) map[string]any {
	place := map[string]any{"topic": "contact_info", "sub_topic": "city"}
	return map[string]any{"content": content, "attributes": place}
}

func profiles(user string, out map[string]any) {
	path := "/users/profile/" + user
	id := told[made]("POST", path, slot("Porto")).ID
	told[any]("PUT", path+"/"+id, slot("Lisbon"))
	found := told[struct {
		Profiles []profile `json:"profiles"`
	}]("GET", path+query(
		"max_token_size", "1000", "prefer_topics", "pets", "prefer_topics", "work", "max_subtopic_size", "5",
		"topic_limits_json", `{"pets":3}`,
	), nil).Profiles
	shown := [][]string{}
	for _, one := range found {
		shown = append(shown, []string{one.Attributes.Topic, one.Content})
		out["dated"] = !one.CreatedAt.IsZero() && !one.UpdatedAt.IsZero()
		if one.Attributes.SubTopic == "city" {
			told[any]("DELETE", path+"/"+one.ID, nil)
		}
	}
	out["profiles"] = shown
}

func events(user string, out map[string]any) {
	type found struct {
		Events []event `json:"events"`
	}
	path := "/users/event/" + user
	options := query("topk", "10", "max_token_size", "1000", "need_summary", "true")
	listed := told[found]("GET", path+options, nil).Events
	out["events"] = len(listed)
	out["learned"] = listed[0].EventData.ProfileDelta[0].Content
	search := query(
		"query", "What is my dog called?", "topk", "10",
		"similarity_threshold", fmt.Sprintf("%f", 0.2), "time_range_in_days", "180",
	)
	near := told[found]("GET", "/users/event/search/"+user+search, nil).Events
	out["found"] = len(near)
	out["similar"] = near[0].Similarity > 0.2
	out["gist"] = told[found]("GET", "/users/event_gist/search/"+user+search, nil).Events[0].GistData.Content
	told[any]("PUT", path+"/"+listed[0].ID, map[string]any{"event_tip": "Spoke of a dog."})
	out["tip"] = told[found]("GET", path+query("topk", "1"), nil).Events[0].EventData.EventTip
	out["context"] = told[struct {
		Context string `json:"context"`
	}]("GET", "/users/context/"+user+query(
		"max_token_size", "500", "profile_event_ratio", fmt.Sprintf("%f", 0.7),
		"require_event_summary", "false", "event_similarity_threshold", fmt.Sprintf("%f", 0.1),
		"only_topics", "pets", "chats_str", `[{"role":"user","content":"What is my dog called?"}]`,
	), nil).Context
	told[any]("DELETE", path+"/"+listed[0].ID, nil)
}

func project(out map[string]any) {
	_, out["billed"] = told[map[string]any]("GET", "/project/billing", nil)["token_left"]
	out["days"] = len(told[[]map[string]any]("GET", "/project/usage?last_days=7", nil))
	order := "?search=&order_by=updated_at&order_desc=true&limit=10&offset=0"
	out["users"] = len(told[struct {
		Users []map[string]any `json:"users"`
	}]("GET", "/project/users"+order, nil).Users)
	told[any]("POST", "/project/profile_config", map[string]any{"profile_config": "language: en"})
	out["config"] = told[struct {
		ProfileConfig string `json:"profile_config"`
	}]("GET", "/project/profile_config", nil).ProfileConfig
}
