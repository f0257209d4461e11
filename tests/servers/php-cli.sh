#!/bin/sh
# server: php-cli   class: A   debian: php-cli
# shows: poll
. "${0%/*}/lib/recipe.sh"

start() {
    echo "<?php echo '$page';" >index.php
    exec php -S "$address" -t "$dir"
}

probe() {
    http_serves index.php
}

recipe "$@"
