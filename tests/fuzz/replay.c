/* replay.c - runs a fuzz target once over each file given: the corpus, without libFuzzer. */
#include <stdint.h>
#include <stdio.h>

#include "fuzz.h"

int main(int argc, char **argv)
{
    static uint8_t bytes[1 << 16];

    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        if (!file) {
            perror(argv[i]);
            return 1;
        }
        size_t len = fread(bytes, 1, sizeof bytes, file);
        fclose(file);
        LLVMFuzzerTestOneInput(bytes, len);
    }
    printf("%s: %d inputs\n", argv[0], argc - 1);
    return argc < 2;
}
