package AI::MXNet::KVStore;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::Base ();
use AI::MXNet::Updater;
use AI::MXNet::Function::Parameters;
use Scalar::Util qw(blessed);
use Mouse;

# Arrays by key, for one process: what several contexts push is added up, and each pulls the outcome.

has type => (is => 'ro', isa => 'Str', default => 'local');
has _updater => (is => 'rw', init_arg => undef);
has [qw(_values _index _residuals)] => (is => 'ro', init_arg => undef, default => sub { +{} });
has _compression => (is => 'rw', init_arg => undef);

method create(Str $name= 'local') {
    my $type = lc $name;
    AI::MXNet::Keshi::fail("KVStore: $name wants parameter servers, and this build is for one process")
        if $type =~ /dist/;
    AI::MXNet::Keshi::fail("KVStore: $name wants GPUs, and this build has none") if $type =~ /nccl/;
    return __PACKAGE__->new(type => $type);
}

sub rank { return 0 }
sub num_workers { return 1 }
sub _barrier { return }
sub _send_command_to_servers { return }

# -- keys and values

sub _is_array { return blessed $_[0] && $_[0]->isa('AI::MXNet::NDArray') }

# Pairs of a key and the list of its arrays, in the order in which keys come first.
sub _pairs
{
    my ($who, $keys, $values) = @_;
    my @keys = ref $keys eq 'ARRAY' ? @$keys : ($keys);
    my @values = ref $keys eq 'ARRAY' ? (ref $values eq 'ARRAY' ? @$values : $values) : ($values);
    AI::MXNet::Keshi::fail("$who: got " . @keys . ' keys and ' . @values . ' values') if @keys != @values;
    my (@order, %list);
    for my $i (0 .. $#keys) {
        my @arrays = ref $values[$i] eq 'ARRAY' ? @{ $values[$i] } : $values[$i];
        for my $array (@arrays) {
            AI::MXNet::Keshi::fail("$who: key $keys[$i] got " . ($array // 'undef') . ', want an AI::MXNet::NDArray')
                if not _is_array($array);
        }
        push @order, $keys[$i] if not $list{ $keys[$i] };
        push @{ $list{ $keys[$i] } }, @arrays;
    }
    return map { [$_, $list{$_}] } @order;
}

sub _stored
{
    my ($self, $who, $key) = @_;
    return $self->_values->{$key} // AI::MXNet::Keshi::fail("$who: key $key has not been inited");
}

# -- moving arrays

method init(Str | ArrayRef [Str] $key, AI::MXNet::NDArray | ArrayRef $value) {
    my @pairs = _pairs('init', $key, $value);
    for my $pair (@pairs) {
        AI::MXNet::Keshi::fail("init: duplicate init of key $pair->[0]") if exists $self->_values->{ $pair->[0] };
    }
    for my $pair (@pairs) {
        my ($name, $arrays) = @$pair;
        $self->_values->{$name} = $arrays->[0]->copy;
        $self->_index->{$name} = keys %{ $self->_index };
    }
    return;
}

method push(Str | ArrayRef [Str] $key, AI::MXNet::NDArray | ArrayRef $value, Int : $priority = 0) {
    my @pairs = _pairs('push', $key, $value);
    $self->_stored('push', $_->[0]) for @pairs;
    for my $pair (@pairs) {
        my ($name, $arrays) = @$pair;
        my $pushed = $self->_sum($name, $arrays);
        if (defined $self->_updater) {
            $self->_updater->($self->_index->{$name}, $pushed, $self->_values->{$name});
        } else {
            $self->_values->{$name} = $pushed;
        }
    }
    return;
}

sub _sum
{
    my ($self, $key, $arrays) = @_;
    my ($first, @rest) = @$arrays;
    return $first if not @rest;
    ($first, @rest) = $self->_compressed($key, $first, @rest) if $self->_compression;
    @rest = map { $_->as_in_context($first->context) } @rest;
    return AI::MXNet::NDArray->add_n($first, @rest) if not grep { $_->stype ne 'default' } $first, @rest;
    $first = $first + $_ for @rest;
    return $first;
}

method pull(
    Str | ArrayRef [Str] $key,
    AI::MXNet::NDArray | ArrayRef : $out,
    Int : $priority = 0,
    Bool : $ignore_sparse = 1
    )
{
    for my $pair (_pairs('pull', $key, $out)) {
        my ($name, $arrays) = @$pair;
        my $stored = $self->_stored('pull', $name);
        for my $array (@$arrays) {
            $stored->copyto($array) if $array->stype eq 'default' or not $ignore_sparse;
        }
    }
    return;
}

method row_sparse_pull(
    Str | ArrayRef [Str] $key,
    AI::MXNet::NDArray | ArrayRef : $out,
    AI::MXNet::NDArray | ArrayRef : $row_ids,
    Int : $priority = 0
    )
{
    my $fail = \&AI::MXNet::Keshi::fail;
    my @keys = ref $key eq 'ARRAY' ? @$key : ($key);
    my @ids = ref $key eq 'ARRAY' && ref $row_ids eq 'ARRAY' ? @$row_ids : ($row_ids) x @keys;
    my @pairs = _pairs('row_sparse_pull', $key, $out);
    $fail->('row_sparse_pull: got ' . @ids . ' row_ids for ' . @keys . ' keys') if @ids != @keys;
    for my $pair (@pairs) {
        my ($name, $arrays) = @$pair;
        my $stored = $self->_stored('row_sparse_pull', $name);
        my $given = shift @ids;
        my @lists = ref $given eq 'ARRAY' ? @$given : $given;
        @lists = ($lists[0]) x @$arrays if @lists == 1;
        $fail->('row_sparse_pull: got ' . @lists . ' row_ids for ' . @$arrays . ' arrays') if @lists != @$arrays;
        my %rows;    # one list of ids may serve many arrays
        for my $i (0 .. $#$arrays) {
            $fail->("row_sparse_pull: got an array with stype $arrays->[$i]{stype}, want row_sparse")
                if $arrays->[$i]->stype ne 'row_sparse';
            my $rows = $rows{ Scalar::Util::refaddr($lists[$i]) } //= _rows($stored, $lists[$i]);
            $rows->copyto($arrays->[$i]);
        }
    }
    return;
}

# The rows of an array that the ids name, each once and in order, as a row_sparse array.
sub _rows
{
    my ($stored, $ids) = @_;
    my ($rows) = AI::MXNet::Keshi::distinct($ids->as_in_context($stored->context));
    return AI::MXNet::NDArray::Sparse->retain($stored, $rows) if $stored->stype ne 'default';
    return AI::MXNet::NDArray::Sparse->row_sparse_array(
        [AI::MXNet::NDArray->take($stored, $rows), $rows],
        shape => $stored->shape,
        ctx => $stored->context,
        dtype => $stored->dtype
    );
}

# -- updating where the arrays are

method set_optimizer(AI::MXNet::Optimizer $optimizer) {
    $self->_set_updater(AI::MXNet::Optimizer->get_updater($optimizer));
    return;
}

sub _set_updater
{
    my ($self, $updater) = @_;
    $self->_updater($updater);
    return;
}

sub _with_states
{
    my $self = shift;
    return $self->_updater if blessed $self->_updater and $self->_updater->can('get_states');
    return AI::MXNet::Keshi::fail('Cannot save states for distributed training');
}

method save_optimizer_states(Str $fname, Bool : $dump_optimizer = 0) {
    my $bytes = $self->_with_states->get_states($dump_optimizer);
    open my $file, '>:raw', $fname or AI::MXNet::Keshi::fail("save_optimizer_states: cannot write $fname: $!");
    print {$file} $bytes;
    close $file or AI::MXNet::Keshi::fail("save_optimizer_states: cannot write $fname: $!");
    return;
}

method load_optimizer_states(Str $fname) {
    my $updater = $self->_with_states;
    open my $file, '<:raw', $fname or AI::MXNet::Keshi::fail("load_optimizer_states: cannot read $fname: $!");
    my $bytes = do { local $/ = undef; <$file> };
    close $file;
    $updater->set_states($bytes);
    return;
}

# -- gradient compression: each element is sent as -threshold, 0 or threshold; what that loses is added to the next gradient

method set_gradient_compression(HashRef $compression_params) {
    AI::MXNet::Keshi::fail('Gradient compression is not supported for this type of kvstore')
        if $self->type !~ /device|dist/;
    my %given = (threshold => 0.5, %$compression_params);
    AI::MXNet::Keshi::fail('set_gradient_compression: type got ' . ($given{type} // 'nothing') . ", want '2bit'")
        if ($given{type} // '') ne '2bit';
    AI::MXNet::Keshi::fail("set_gradient_compression: threshold got $given{threshold}, want a number above 0")
        if $given{threshold} <= 0;
    $self->_compression(\%given);
    return;
}

sub _compressed
{
    my ($self, $key, @arrays) = @_;
    my $threshold = $self->_compression->{threshold};
    my $residuals = $self->_residuals->{$key} //= [map { $_->zeros_like } @arrays];
    return map {
        my $residual = $residuals->[$_] //= $arrays[$_]->zeros_like;
        $residual += $arrays[$_];
        my $sent = (($residual >= $threshold) - ($residual <= -$threshold)) * $threshold;
        $residual -= $sent;
        $sent
    } 0 .. $#arrays;
}

__PACKAGE__->meta->make_immutable;
no Mouse;

1;

__END__

=head1 NAME

AI::MXNet::KVStore - arrays by key, shared by several contexts

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $kv = mx->kv->create('local');
    $kv->init('weight', nd->ones([2, 3]));
    $kv->push('weight', [nd->ones([2, 3], ctx => mx->cpu(0)), nd->ones([2, 3], ctx => mx->cpu(1)) * 4]);
    my @copies = (nd->zeros([2, 3]), nd->zeros([2, 3], ctx => mx->cpu(1)));
    $kv->pull('weight', out => \@copies);      # both are 5 everywhere

    $kv->set_optimizer(mx->optimizer->SGD(learning_rate => 0.1));
    $kv->push('weight', nd->ones([2, 3]));     # now a push is an update
    $kv->pull('weight', out => \@copies);      # 4.9

=head1 DESCRIPTION

C<create($type)> makes a store for this process: C<local>, C<device> and any other name without C<dist> or C<nccl>. Keys are text or
whole numbers. Where a method takes a key and an array, it also takes a list of keys and a list with an array, or a list of
arrays, for each.

=over 4

=item init($key, $value)

Each key once, before anything else.

=item push($key, $value, priority => 0)

Several arrays of one key are added up. The sum replaces the stored array; or, after C<set_optimizer> or C<_set_updater>, the updater
is called with an index (keys are numbered in the order of their C<init>), the sum and the stored array.

A single array that is pushed is not copied.

=item pull($key, out => $array, priority => 0, ignore_sparse => 1)

Sparse arrays are left alone unless C<ignore_sparse> is 0.

=item row_sparse_pull($key, out => $array, row_ids => $ids)

Only those rows, each once. One array of ids serves many arrays.

=item save_optimizer_states($file, dump_optimizer => 0), load_optimizer_states($file)

=item set_gradient_compression({ type => '2bit', threshold => 0.5 })

For C<device>: of what several contexts push, each element counts as -threshold, 0 or threshold; the rest is kept for the next push.

=item type, rank, num_workers

The last two are 0 and 1.

=back

=cut
