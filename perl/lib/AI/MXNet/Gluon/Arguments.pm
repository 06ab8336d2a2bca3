package AI::MXNet::Gluon::Arguments;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::Logging;
use Mouse;

# Constructors that take their first arguments by position, and shorthands for constructors: nn->Dense(4, in_units => 2).
# A class that takes some by position names them in python_constructor_arguments.

my %always = map { $_ => 1 } qw(prefix params shared);

sub known
{
    my $class = shift;
    return ($class->isa(__PACKAGE__) ? %always : (),
        map { defined $_->init_arg ? ($_->init_arg => 1) : () } $class->meta->get_all_attributes);
}

# MXNet's constructors by name take any name. Of one that is none of a class of ours this tells; classes of the user's may look for it
# themselves.
sub warn_of_others
{
    my ($class, @given) = @_;
    return if $class !~ /^AI::MXNet::/;
    my %known = known($class);
    my @others = grep { !$known{$_} } sort @given or return;
    AI::MXNet::Logging->warning(
        '%s: it has no %s, but %s',
        $class, join(', ', @others),
        join ', ', grep { !/^_/ } sort keys %known
    );
    return;
}

around BUILDARGS => sub {
    my ($orig, $class, @args) = @_;
    $class = ref $class || $class;
    my $positional = $class->can('python_constructor_arguments');
    if (not $positional) {
        my $given = $class->$orig(@args);
        warn_of_others($class, keys %$given);
        return $given;
    }
    my @names = @{ $class->$positional };
    my %known = known($class);
    my %named;    # of a name that is given twice, the first counts
    while (@args >= 2 and defined $args[-2] and not ref $args[-2] and $known{ $args[-2] }) {
        my ($name, $value) = splice @args, -2;
        $named{$name} = $value;
    }
    AI::MXNet::Keshi::fail("Paramers mismatch expected @{[join ', ', @names] || 'none'}, got "
            . join(', ', map { $_ // 'undef' } @args)
            . " for the constructor of $class, which has by name: @{[join ', ', grep { !/^_/ } sort keys %known]}")
        if @args > @names;
    @named{ @names[0 .. $#args] } = @args;
    return \%named;
};

sub new
{
    my ($class, @args) = @_;
    return Mouse::Object::new(ref $class || $class, @args);
}

# Makes a constructor named like the last part of the class, in the package given. Perl takes the name of the class in
# Package::Class->new for a call of it, without arguments.
sub register
{
    my ($class, $package) = @_;
    my ($name) = $class =~ /(\w+)$/;
    no strict 'refs';
    no warnings 'redefine';
    *{"${package}::$name"} = sub { return @_ ? $class->new(@_[1 .. $#_]) : $class };
    return;
}

no Mouse;

1;

__END__

=head1 NAME

AI::MXNet::Gluon::Arguments - constructors with arguments by position, and their short names

=head1 SYNOPSIS

    package Pair;
    use Mouse;
    extends 'AI::MXNet::Gluon::Arguments';
    has [qw(left right)] => (is => 'ro');
    has 'sep' => (is => 'ro', default => '-');
    sub python_constructor_arguments { [qw(left right)] }
    __PACKAGE__->register('Tools');

    package main;
    my $pair = Tools->Pair(1, 2, sep => '+');
    print $pair->left, $pair->sep, $pair->right, "\n";

=head1 DESCRIPTION

The base of Gluon's classes. Those that C<python_constructor_arguments> names may be given by position, before those given by
name; too many, or a name that is no attribute, die. C<register($package)> makes a constructor in another package.

=cut
