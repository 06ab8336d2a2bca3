package AI::MXNet::Context;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use Scalar::Util qw(blessed);
use overload
    '""' => \&text,
    '==' => sub { blessed($_[1]) && $_[1]->isa(__PACKAGE__) && "$_[0]" eq "$_[1]" },
    '!=' => sub { !(blessed($_[1]) && $_[1]->isa(__PACKAGE__) && "$_[0]" eq "$_[1]") },
    fallback => 1;

use constant devtype2str => { 1 => 'cpu', 2 => 'gpu', 3 => 'cpu_pinned' };
use constant devstr2type => { cpu => 1, gpu => 2, cpu_pinned => 3 };

sub new
{
    my ($class, @args) = @_;
    @args = (device_type => @args) if @args == 1 and not ref $args[0];
    @args = (device_type => $args[0]->device_type, device_id => $args[0]->device_id) if @args == 1;
    AI::MXNet::Keshi::fail('Context: got an odd number of arguments, want names and values') if @args % 2;
    my %given = (device_type => 'cpu', device_id => 0, @args);
    my $self = bless {}, ref $class || $class;
    for my $name (sort keys %given) {
        AI::MXNet::Keshi::fail("Context: no such named argument '$name', want device_type or device_id")
            if $name !~ /^device_(?:type|id)$/;
        $self->$name($given{$name});
    }
    return $self;
}

sub device_type
{
    my ($self, $type) = @_;
    if (@_ > 1) {
        AI::MXNet::Keshi::fail('Context: device_type got ' . ($type // 'undef') . ', want cpu, gpu or cpu_pinned')
            if not defined $type
            or not devstr2type->{$type};
        $self->{device_type} = "$type";
    }
    return $self->{device_type};
}

sub device_id
{
    my ($self, $id) = @_;
    if (@_ > 1) {
        AI::MXNet::Keshi::fail('Context: device_id got ' . ($id // 'undef') . ', want a whole number')
            if not defined $id
            or ref $id
            or $id !~ /^-?\d+$/;
        $self->{device_id} = 0 + $id;
    }
    return $self->{device_id};
}

sub device_type_id { return devstr2type->{ $_[0]{device_type} } }
sub text { return "$_[0]{device_type}($_[0]{device_id})" }
sub deepcopy { return $_[0]->new($_[0]) }
sub cpu { return __PACKAGE__->new(device_type => 'cpu', device_id => $_[1] // 0) }
sub gpu { return __PACKAGE__->new(device_type => 'gpu', device_id => $_[1] // 0) }
sub cpu_pinned { return __PACKAGE__->new(device_type => 'cpu_pinned', device_id => $_[1] // 0) }

# The variable is $AI::MXNet::Context, so that a script may give it another value with local.
sub current_ctx { return $AI::MXNet::Context }
*current_context = \&current_ctx;

sub set_current
{
    my ($class, $ctx) = @_;
    AI::MXNet::Keshi::fail('set_current: got ' . ($ctx // 'undef') . ', want an AI::MXNet::Context')
        if not blessed($ctx)
        or not $ctx->isa(__PACKAGE__);
    $AI::MXNet::Context = $ctx;
    return $ctx;
}

sub num_gpus { return 0 }

sub gpu_memory_info
{
    my ($class, $id) = @_;
    AI::MXNet::Keshi::fail('gpu_memory_info: got gpu(' . ($id // 0) . '), and this build has no GPU');
}

$AI::MXNet::Context //= __PACKAGE__->new;

1;

__END__

=head1 NAME

AI::MXNet::Context - where an array lives

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $x = mx->nd->ones([2, 3], ctx => mx->cpu(1));
    print $x->context, "\n";                                 # cpu(1)
    print "the same\n" if $x->context == mx->cpu(1);
    {
        local $mx::Context = mx->cpu(2);
        print mx->nd->zeros([2]), "\n";                      # <AI::MXNet::NDArray 2 @cpu(2)>
    }

=head1 DESCRIPTION

A context has a C<device_type> (C<cpu>, C<gpu>, C<cpu_pinned>) and a C<device_id>. All CPU contexts are the memory of the
host, however many of them a script uses; an array keeps the one it was made with. This build computes on CPUs only:
C<num_gpus> is 0, and making an array on a GPU dies.

C<new> takes nothing (C<cpu(0)>), a device type, another context, or names and values. C<cpu>, C<gpu> and C<cpu_pinned> are
short for it. As text a context is C<cpu(0)>; C<==> and C<!=> compare, C<eq>, sorting and hash keys use the text.

C<current_ctx> (or C<current_context>) is where new arrays are made when nothing else is said; C<set_current> changes it, and
so does C<local $mx::Context>.

=cut
