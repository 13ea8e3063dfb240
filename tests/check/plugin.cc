// SPDX-License-Identifier: MIT
// The public headers from C++, each included first by somebody, and a program that loads the plugin.
#include <jobd/queue.h>

#include <jobd/pool.h>

#include <jobd/call.h>

#include <cstdio>
#include <dlfcn.h>

int main(int argc, char **argv)
{
    void *plugin = argc == 2 ? dlopen(argv[1], RTLD_NOW) : nullptr;
    auto runs = plugin != nullptr ? reinterpret_cast<int (*)()>(dlsym(plugin, "plugin_runs")) : nullptr;
    if (runs == nullptr) {
        std::fprintf(stderr, "%s\n", argc == 2 ? dlerror() : "which plugin?");
        return 1;
    }
    jobd_blob *blob = jobd_blob_text(jobd_result_text(JOBD_FULL));
    bool whole = blob != nullptr && blob->size > 0;
    jobd_blob_unref(blob);
    return whole && runs() == 0 ? 0 : 1;
}
