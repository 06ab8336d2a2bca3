package AI::MXNet::Registry;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Logging;

# Classes by the last part of their names, in lower case; the base class gets a method of that name which makes an object. The format is
# that of the warning when a name is taken.
sub add
{
    my ($registry, $base, $format, $class) = @_;
    my ($name) = $class =~ /(\w+)$/;
    my $key = lc $name;
    AI::MXNet::Logging->warning($format, $class, $key, $registry->{$key}, $key) if defined $registry->{$key};
    $registry->{$key} = $class;
    no strict 'refs';
    no warnings 'redefine';
    *{"${base}::$name"} = sub { shift; return $class->new(@_) };
    return;
}

1;
