// produce.cc - the same header, from C++.
//
//     example_cpp BOOTSTRAP TOPIC
#include <millrace/client.h>

#include <cstdio>
#include <memory>
#include <string>

struct settings_free {
    void operator()(mr_settings *s) const { mr_settings_free(s); }
};

int main(int argc, char **argv)
{
    if (argc != 3) {
        std::fprintf(stderr, "usage: %s BOOTSTRAP TOPIC\n", argv[0]);
        return 2;
    }
    mr_error e;
    std::unique_ptr<mr_settings, settings_free> s{mr_settings_new()};
    if (mr_set(s.get(), "bootstrap.servers", argv[1], &e) < 0) {
        std::fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    mr_producer *p = mr_producer_open(s.get(), nullptr, nullptr, &e);
    if (p == nullptr) {
        std::fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    const std::string value = "from C++";
    mr_record r{};
    r.topic = mr_producer_topic(p, argv[2]);
    r.partition = MR_ANY;
    r.key = MR_NULL;
    r.value = mr_bytes(value.data(), static_cast<int32_t>(value.size()));
    r.timestamp_ms = MR_NOW;
    if (mr_produce(p, &r, 1000, &e) < 0)
        std::fprintf(stderr, "%s\n", e.text);
    if (mr_producer_close(p, 10000, &e) < 0) {
        std::fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    std::puts("written");
    return 0;
}
