package AI::MXNet;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::Base;
use AI::MXNet::Function::Parameters;
use AI::MXNet::Logging;
use AI::MXNet::Context;
use AI::MXNet::NDArray;
use AI::MXNet::AutoGrad;
use AI::MXNet::Random;
use AI::MXNet::Symbol;
use AI::MXNet::Operator;
use AI::MXNet::Optimizer;
use AI::MXNet::Initializer;
use AI::MXNet::KVStore;
use AI::MXNet::Metric;
use AI::MXNet::Callback;
use AI::MXNet::Monitor;
use AI::MXNet::IO;
use AI::MXNet::RecordIO;
use AI::MXNet::Later;
use AI::MXNet::NS 'global';
use Carp ();
use Data::Dumper ();
use JSON::PP ();
use List::Util ();
use MIME::Base64 ();
use Mouse ();
use Scalar::Util ();
use Storable ();
use Time::HiRes ();

our $VERSION = '1.6';

BEGIN {
    eval { require Hash::Ordered; 1 } or require AI::MXNet::HashOrdered;
}

# -- names; each returns its package

my %package = (
    nd => 'NDArray',
    ndarray => 'NDArray',
    sym => 'Symbol',
    symbol => 'Symbol',
    context => 'Context',
    callback => 'Callback',
    rnd => 'Random',
    random => 'Random',
    init => 'Initializer',
    initializer => 'Initializer',
    optimizer => 'Optimizer',
    opt => 'Optimizer',
    kv => 'KVStore',
    io => 'IO',
    metric => 'Metric',
    mon => 'Monitor',
    mod => 'Module',
    module => 'Module',
    rnn => 'RNN',
    runtime => 'RunTime',
    viz => 'Visualization',
    recordio => 'RecordIO',
    img => 'Image',
    image => 'Image',
    contrib => 'Contrib',
    linalg => 'LinAlg',
    autograd => 'AutoGrad',
    gluon => 'Gluon',
    engine => 'Engine',
    operator => 'Operator',
    profiler => 'Profiler',
);
{
    no strict 'refs';
    for my $name (keys %package) {
        my $package = __PACKAGE__ . "::$package{$name}";
        *$name = sub { return $package };
    }
}
sub name { return __PACKAGE__ }
sub rtc { return __PACKAGE__ }

AI::MXNet::Later->defer(
    map { __PACKAGE__ . "::$_" } values %package,
    qw(CachedOp DataParallelExecutorGroup Module::Bucketing CudaModule Gluon::NN Gluon::RNN Gluon::Parameter
        Gluon::ParameterDict
        NDArray::Sparse Contrib::NDArray Contrib::Symbol LinAlg::NDArray LinAlg::Symbol Image::NDArray Image::Symbol)
);

# These are class names everywhere once this module is loaded.
AI::MXNet::NS::alias(autograd => 'AI::MXNet::AutoGrad');
AI::MXNet::NS::alias(gluon => 'AI::MXNet::Gluon');
AI::MXNet::NS::alias(nn => 'AI::MXNet::Gluon::NN');
AI::MXNet::NS::alias(rnn => 'AI::MXNet::Gluon::RNN');

# -- shortcuts

sub cpu { return AI::MXNet::Context->cpu($_[1] // 0) }
sub gpu { return AI::MXNet::Context->gpu($_[1] // 0) }
sub cpu_pinned { return AI::MXNet::Context->cpu_pinned($_[1] // 0) }

sub Prefix
{
    my ($self, $prefix) = @_;
    return AI::MXNet::Symbol::Prefix->new(prefix => $prefix);
}

sub set_num_threads
{
    my ($self, $threads) = @_;
    AI::MXNet::Keshi::set_num_threads($threads);
    return;
}

# Bytes that arrays hold now, the most they have held, and freed bytes that are kept for the next array.
sub memory
{
    my %memory;
    @memory{qw(live peak pooled)} = AI::MXNet::Keshi::memory();
    return \%memory;
}

sub reset_peak_memory { AI::MXNet::Keshi::reset_peak_memory(); return }

# Methods that have the name of a package: as subs they would hide the class names.
my %constructor = (
    Context => 'AI::MXNet::Context',
    AttrScope => 'AI::MXNet::Symbol::AttrScope',
    CudaModule => 'AI::MXNet::CudaModule',
);

sub DESTROY { }

our $AUTOLOAD;

sub AUTOLOAD    ## no critic (ProhibitAutoloading)
{
    my ($self, @args) = @_;
    my ($method) = $AUTOLOAD =~ /(\w+)$/;
    return $constructor{$method}->new(@args) if $constructor{$method};
    my $refusal = qq(Can't locate object method "$method" via package "AI::MXNet");
    warn "$refusal\n";
    AI::MXNet::Keshi::fail("AI::MXNet: there is no $method: $refusal");
}

1;

__END__

=head1 NAME

AI::MXNet - deep learning for Perl

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $x = nd->array([[1, 2], [3, 4]]);
    $x->attach_grad;
    my $y;
    mx->autograd->record(sub { $y = 2 * $x * $x });
    $y->backward;
    print $x->grad->aspdl;

=head1 DESCRIPTION

The AI::MXNet interface on Keshi, a tensor runtime for CPUs with a dynamic autograd tape.

C<use AI::MXNet qw(mx)> makes C<mx> a sub that returns the name of this package, and a class name in every file. Loading the
module makes C<nd>, C<autograd>, C<gluon>, C<nn> and C<rnn> class names everywhere. C<mx> leads to the rest:

    mx->nd        AI::MXNet::NDArray      arrays
    mx->sym       AI::MXNet::Symbol       graphs of operators
    mx->mod       AI::MXNet::Module       symbols with parameters, trained and used
    mx->autograd  AI::MXNet::AutoGrad     gradients
    mx->random    AI::MXNet::Random       random arrays
    mx->context   AI::MXNet::Context      where arrays live; mx->cpu(1), mx->gpu, mx->cpu_pinned make one
    mx->linalg    AI::MXNet::LinAlg       linear algebra
    mx->contrib   AI::MXNet::Contrib      further operators
    mx->image     AI::MXNet::Image        operators on images
    mx->engine    AI::MXNet::Engine
    mx->operator  AI::MXNet::Operator     operators of one's own
    mx->runtime   AI::MXNet::RunTime      what this build can do
    mx->profiler  AI::MXNet::Profiler     what takes the time

C<mx-E<gt>set_num_threads($n)> sets how many threads the kernels use. C<mx-E<gt>memory> is a hash: C<live>, the bytes that arrays
hold now, C<peak>, the most that they have held since C<mx-E<gt>reset_peak_memory>, and C<pooled>, freed bytes that are kept for
the next array.

C<$mx::Context> is the current context; C<local $mx::Context = mx-E<gt>cpu(1)> changes it for a scope.

=head1 DIAGNOSTICS

Errors die with a text that names the operator, what it got and what it wants, at the line of the calling script.

=head1 SEE ALSO

L<AI::MXNet::NDArray>, L<AI::MXNet::AutoGrad>, L<AI::MXNet::Random>, L<AI::MXNet::Migrating>, L<PDL>

=head1 LICENSE

Apache License 2.0

=cut
