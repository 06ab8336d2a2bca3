package AI::MXNet::Later;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;

# Packages that a name of AI::MXNet leads to inherit from here until they are loaded, which the first call does. A package
# that this release does not have says so.

my $home = __FILE__ =~ s{AI/MXNet/Later\.pm$}{}r;

sub defer
{
    my ($class, @packages) = @_;
    for my $package (@packages) {
        (my $file = "$package.pm") =~ s{::}{/}g;
        no strict 'refs';
        push @{"${package}::ISA"}, 'AI::MXNet::Later::Package' if not $INC{$file};
    }
    return;
}

# Loads the file of the package, or the one of its parent, which may hold it. True when the package came.
sub arrive
{
    my $package = shift;
    my @files = map { s{::}{/}gr . '.pm' } $package, $package =~ s/::\w+$//r;
    pop @files if $files[-1] eq 'AI/MXNet.pm';
    for my $file (grep { -e "$home$_" } @files) {
        no strict 'refs';
        require $file;
        @{"${package}::ISA"} = grep { $_ ne 'AI::MXNet::Later::Package' } @{"${package}::ISA"};
        return 1;
    }
    return;
}

# -- what such a package does until then

package AI::MXNet::Later::Package;    ## no critic (ProhibitMultiplePackages)

# The package behind an alias such as nn.
sub _package
{
    my $class = shift;
    require B;
    no strict 'refs';
    return B::svref_2object(\%{"${class}::"})->NAME;
}

sub can                               ## no critic (ProhibitBuiltinHomonyms)
{
    my ($class, $method) = @_;
    my $package = _package(ref $class || $class);
    return if not AI::MXNet::Later::arrive($package);
    return $package->can($method);
}

sub import
{
    my ($class, @names) = @_;
    my $package = _package($class);
    AI::MXNet::Later::arrive($package) or return;
    my $import = $package->can('import') or return;
    goto &$import;
}

sub DESTROY { }

our $AUTOLOAD;

sub AUTOLOAD    ## no critic (ProhibitAutoloading)
{
    my ($package, $method) = $AUTOLOAD =~ /^(.*)::(\w+)$/;
    my $came = AI::MXNet::Later::arrive($package);
    my $code = $came && $package->can($method);
    goto &$code if $code;
    if ($came and $package->can('AUTOLOAD')) {
        my ($self, @args) = @_;
        return $package->$method(@args);
    }
    AI::MXNet::Keshi::fail(qq(Can't locate object method "$method" via package "$package")) if $came;
    AI::MXNet::Keshi::fail("$package->$method: this release of Keshi does not have $package");
}

1;
