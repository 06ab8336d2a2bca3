package AI::MXNet::Gluon::Block;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::Function::Parameters;
use AI::MXNet::Gluon::Mouse ();
use AI::MXNet::Gluon::ParameterDict;
use AI::MXNet::Logging;
use AI::MXNet::Symbol::NameManager;
use Mouse;
use Scalar::Util qw(blessed refaddr);

extends 'AI::MXNet::Gluon::Arguments';

# A part of a network: it has parameters and children, and computes. It holds what is below it, and nothing above, so that a
# network goes when its last name goes.

use overload
    '""' => sub { return $_[0]->_text },
    '&{}' => sub {
    my $self = shift;
    return sub { return $self->call(@_) }
    },
    'bool' => sub { 1 };

has _prefix => (is => 'rw', init_arg => 'prefix', isa => 'Maybe[Str]');
has _params => (is => 'rw', init_arg => 'params', isa => 'Maybe[AI::MXNet::Gluon::ParameterDict]');
has [qw(_children _reg_params)] => (is => 'rw', init_arg => undef, default => sub { Hash::Ordered->new });
has [qw(_forward_hooks _forward_pre_hooks)] => (is => 'rw', init_arg => undef);

# The block whose scope names those that are made.
our $scope;

sub BUILD
{
    my $self = shift;
    my ($prefix, $params) = @$self{qw(_prefix _params)};
    my $hint = $self->_alias;
    $self->{_counter} = {};
    $self->{_empty_prefix} = defined $prefix && $prefix eq '';
    if ($scope) {
        $prefix //= $hint . $scope->{_counter}{$hint}++ . '_';
        my $parent = $scope->params;
        $self->{_params} = AI::MXNet::Gluon::ParameterDict->new(
            $params
            ? (prefix => $params->prefix, shared => $params)
            : (prefix => $parent->prefix . $prefix, shared => $parent->_shared)
        );
        $prefix = $scope->prefix . $prefix;
    } else {
        $prefix //= $AI::MXNet::NameManager->get(undef, $hint) . '_';
        $self->{_params} =
            AI::MXNet::Gluon::ParameterDict->new(prefix => $params ? $params->prefix : $prefix, shared => $params);
    }
    $self->{_prefix} = $prefix;
    return;
}

sub _fail { return AI::MXNet::Keshi::fail(@_) }

sub _is_block { return blessed($_[0]) && $_[0]->isa(__PACKAGE__) }
sub _is_param { return blessed($_[0]) && $_[0]->isa('AI::MXNet::Gluon::Parameter') }

# -- names

sub class { return (ref $_[0] || $_[0]) =~ /(\w+)$/ ? $1 : undef }
sub _alias { return lc $_[0]->class }
sub prefix { return $_[0]{_prefix} }
sub name { return $_[0]{_prefix} =~ s/_$//r }
sub params { return $_[0]{_params} }

# Runs the sub; blocks and symbols that it makes get names inside this block.
sub name_scope
{
    my ($self, $code) = @_;
    return $code->($self) if $self->{_empty_prefix};
    local $scope = $self;
    local $AI::MXNet::NameManager = AI::MXNet::Symbol::Prefix->new(prefix => $self->{_prefix});
    return $code->($self);
}

sub _text
{
    my $self = shift;
    my @lines;
    my $iterator = $self->{_children}->iterator;
    while (my ($name, $child) = $iterator->()) {
        push @lines, "  ($name): " . "$child" =~ s/\n/\n  /gr if exists $self->{$name};
    }
    return $self->class . "(\n" . join("\n", @lines) . "\n)";
}

# -- attributes

# An attribute of the class for every name that is asked for.
our $AUTOLOAD;

sub AUTOLOAD    ## no critic (ProhibitAutoloading)
{
    my ($self, @value) = @_;
    my ($name) = $AUTOLOAD =~ /(\w+)$/;
    _fail(qq(Can't locate object method "$name" via package ") . ($self // 'undef') . '"')
        if not blessed($self)
        or $name =~ /^(?:BUILD|BUILDARGS|DEMOLISH|DESTROY|CLONE|CLONE_SKIP|STORABLE_\w+)$/;
    AI::MXNet::Gluon::Mouse::add_attribute((ref $self)->meta, $name, is => 'rw', init_arg => undef);
    return $self->$name(@value);
}

# Told of every value that an attribute gets.
sub __setattr__
{
    my ($self, $name, $value, $old) = @_;
    if (_is_block($old) or _is_param($old)) {
        my $class = ref $old;
        _fail("Changing attribute type for @{[$self->name]} from $class to @{[ref $value || 'no ref']} is not allowed.")
            if not blessed($value)
            or not $value->isa($class);
    }
    if (_is_block($value)) {
        $self->register_child($value, $name);
    } elsif (_is_param($value)) {
        _fail(
"Overriding Parameter attribute $name is not allowed. If you want to share parameters between blocks, please "
                . 'set params at Block construction instead.')
            if $self->{_reg_params}->exists($name);
        $self->{_reg_params}->set($name, $value);
    }
    return;
}

sub attributes_hash
{
    my $self = shift;
    return { map { exists $self->{ $_->name } ? ($_->name => $self->{ $_->name }) : () }
            $self->meta->get_all_attributes };
}

# -- children and parameters

sub register_child
{
    my ($self, $block, $name) = @_;
    $self->_want_child($block);
    $self->{_children}->set($name // scalar $self->{_children}->keys, $block);
    return;
}

sub _child_class { return __PACKAGE__ }

sub _want_child
{
    my ($self, $block) = @_;
    my $class = $self->_child_class;
    return if blessed($block) and $block->isa($class);
    return _fail("Validation failed for '$class' with value " . ($block // 'undef') . ', a child of ' . $self->name);
}

sub apply
{
    my ($self, $code) = @_;
    $_->apply($code) for $self->{_children}->values;
    $code->($self);
    return $self;
}

sub collect_params
{
    my ($self, $select) = @_;
    $self->_check_containers;
    my $found = AI::MXNet::Gluon::ParameterDict->new(prefix => $self->{_params}->prefix);
    $found->update($self->{_params}, $select);
    $found->update($_->collect_params($select)) for $self->{_children}->values;
    return $found;
}

# Blocks inside lists and hashes are nobody's children.
sub _check_containers
{
    my $self = shift;
    my @names = grep { !/^_/ and ref $self->{$_} eq 'ARRAY' || ref $self->{$_} eq 'HASH' } sort keys %$self;
    return if not @names;
    my %children = map { refaddr($_) => 1 } $self->{_children}->values;
    my $stranger;
    $stranger = sub {
        my $value = shift;
        return !$children{ refaddr($value) } if _is_block($value);
        my @inside = ref $value eq 'ARRAY' ? @$value : ref $value eq 'HASH' ? values %$value : ();
        return scalar grep { $stranger->($_) } @inside;
    };
    for my $name (@names) {
        AI::MXNet::Logging->warning(
'"%s.%s" is a unregsitered container with Blocks. Note that Blocks inside the list or hash will not be registered '
                . 'automatically. Make sure to register them using register_child() or switching to nn->Sequential or '
                . 'nn->HybridSequential instead.',
            $self->class, $name
        ) if $stranger->($self->{$name});
    }
    undef $stranger;
    return;
}

method initialize(
    Initializer $init= AI::MXNet::Initializer->Uniform,
    Maybe [AI::MXNet::Context | ArrayRef [AI::MXNet::Context]] : $ctx =,
    Bool : $verbose = 0,
    Bool : $force_reinit = 0
    )
{
    $self->collect_params->initialize(
        init => $init // AI::MXNet::Initializer->Uniform,
        ctx => $ctx,
        verbose => $verbose,
        force_reinit => $force_reinit
    );
    return;
}

around initialize => sub {
    my ($orig, $self, @args) = @_;
    AI::MXNet::Keshi::fail(
        "initialize: got $args[0] first, want the initializer before it: initialize(mx->init->Uniform, $args[0] => ...)"
        )
        if @args % 2 == 0
        and grep { defined $args[0] and $args[0] eq $_ } qw(ctx verbose force_reinit);
    return $self->$orig(@args);
};

sub hybridize
{
    my ($self, @args) = @_;
    $_->hybridize(@args) for $self->{_children}->values;
    return;
}

sub cast
{
    my ($self, $dtype) = @_;
    $_->cast($dtype) for $self->{_children}->values, $self->{_params}->values;
    return;
}

# -- computing

# Calls forward, with all that it returns.
*call = \&AI::MXNet::Keshi::block_call;

# What call does where there are hooks.
sub _call_hooked
{
    my ($self, @args) = @_;
    if (my $hooks = $self->{_forward_pre_hooks}) { $_->($self, \@args) for $hooks->values }
    my @out = $self->forward(@args);
    if (my $hooks = $self->{_forward_hooks}) { $_->($self, \@args, \@out) for $hooks->values }
    return @out;
}

sub forward
{
    my $self = shift;
    return _fail(ref($self) . '->forward: Not Implemented');
}

sub register_forward_hook
{
    my ($self, $hook) = @_;
    return AI::MXNet::Gluon::HookHandle->attach($self->{_forward_hooks} //= Hash::Ordered->new, $hook);
}

sub register_forward_pre_hook
{
    my ($self, $hook) = @_;
    return AI::MXNet::Gluon::HookHandle->attach($self->{_forward_pre_hooks} //= Hash::Ordered->new, $hook);
}

sub summary
{
    my ($self, @inputs) = @_;
    require AI::MXNet::Gluon::Summary;
    return AI::MXNet::Gluon::Summary::show($self, @inputs);
}

# -- files: parameters by their place in the network

sub _collect_params_with_prefix
{
    my ($self, $prefix) = @_;
    $prefix = defined $prefix && length $prefix ? "$prefix." : '';
    my $found = Hash::Ordered->new;
    my $iterator = $self->{_reg_params}->iterator;
    while (my ($name, $param) = $iterator->()) { $found->set($prefix . $name, $param) }
    $iterator = $self->{_children}->iterator;
    while (my ($name, $child) = $iterator->()) {
        $found->merge($child->_collect_params_with_prefix($prefix . $name)->as_list);
    }
    return $found;
}

sub save_parameters
{
    my ($self, $file) = @_;
    my $params = $self->_collect_params_with_prefix;
    my %arrays = map { $_ => $params->get($_)->_reduce } $params->keys;
    return AI::MXNet::NDArray->save($file, \%arrays);
}

method load_parameters(
    Str $file,
    Maybe [AI::MXNet::Context | ArrayRef [AI::MXNet::Context]] : $ctx =,
    Bool : $allow_missing = 0,
    Bool : $ignore_extra = 0
    )
{
    my $loaded = AI::MXNet::NDArray->load($file);
    my $params = $self->_collect_params_with_prefix;
    my %arrays = ref $loaded eq 'HASH' ? %$loaded : ();
    return if not %arrays and not $params->keys;

    # AI::MXNet took the name of a first child for false, and left the dot behind it out.
    for my $name ($params->keys) {
        my $short = $name =~ s/^0\./0/r;
        $arrays{$name} = delete $arrays{$short} if not exists $arrays{$name} and exists $arrays{$short};
    }
    if (not grep { /\./ } keys %arrays and not grep { $params->exists($_) } keys %arrays) {
        return $self->collect_params->load(
            $file,
            ctx => $ctx,
            allow_missing => $allow_missing,
            ignore_extra => $ignore_extra,
            restore_prefix => $self->prefix
        );
    }
    my $some = \&AI::MXNet::Gluon::ParameterDict::_some;
    if (not $allow_missing) {
        for my $name ($params->keys) {
            _fail(    "Parameter $name is missing in file $file, which contains parameters: "
                    . $some->(keys %arrays)
                    . '. Set allow_missing=>1 to ignore missing parameters.')
                if not exists $arrays{$name};
        }
    }
    for my $name (sort keys %arrays) {
        if ($params->exists($name)) {
            $params->get($name)->_load_init($arrays{$name}, $ctx);
        } elsif (not $ignore_extra) {
            _fail("Parameter $name loaded from file $file is not present in ParameterDict, which contains parameters "
                    . $some->($params->keys)
                    . '. Set ignore_extra=>1 to ignore.');
        }
    }
    return;
}

# What these were before: names instead of places. Both load either.
sub save_params { my ($self, $file) = @_; return $self->collect_params->save($file, $self->prefix) }
*load_params = \&load_parameters;

__PACKAGE__->register('AI::MXNet::Gluon');
no Mouse;

# What takes a hook off again.
package AI::MXNet::Gluon::HookHandle;    ## no critic (ProhibitMultiplePackages)
use Scalar::Util qw(weaken);

my $last = 0;

sub attach
{
    my ($class, $hooks, $hook) = @_;
    AI::MXNet::Keshi::fail('register_forward_hook: got ' . ($hook // 'nothing') . ', want a sub')
        if not ref $hook;
    my $self = bless { hooks => $hooks, id => ++$last }, $class;
    weaken $self->{hooks};
    $hooks->set($self->{id}, $hook);
    return $self;
}

sub detach
{
    my $self = shift;
    $self->{hooks}->delete($self->{id}) if $self->{hooks};
    return;
}

1;

__END__

=head1 NAME

AI::MXNet::Gluon::Block - a part of a network

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    use AI::MXNet::Gluon qw(gluon);
    my $net = nn->Sequential;
    $net->name_scope(sub {
        $net->add(nn->Dense(8, activation => 'relu', in_units => 2));
        $net->add(nn->Dense(1, in_units => 8));
    });
    $net->initialize(mx->init->Uniform(0.1));
    my $y = $net->(nd->array([[1, 2], [3, 4]]));
    print $net, "\n", $net->collect_params('weight'), "\n";

=head1 DESCRIPTION

A block has parameters and children, and is called like a sub. Blocks of one's own extend this class, or
L<AI::MXNet::Gluon::HybridBlock>, with L<AI::MXNet::Gluon::Mouse>, and define C<forward(@args)>. A block or a parameter that
is stored in an attribute belongs to the block; any name serves as an attribute, without a declaration.

=over 4

=item new(prefix =>, params =>)

The prefix begins the names of its parameters; by default it is made from the class and a number. C<params>, of another
block, shares parameters.

=item prefix, name, params, collect_params($select)

C<params> are its own parameters only; C<collect_params> those of all blocks below too, or those whose names match.

=item name_scope($sub)

Blocks made inside get this block's prefix before theirs.

=item initialize($init, ctx =>, force_reinit => 0), cast($dtype), hybridize($active, %flags), apply($sub)

For this block and all below it.

=item save_parameters($file), load_parameters($file, ctx =>, allow_missing => 0, ignore_extra => 0)

Parameters by their place in the network (C<0.weight>), so that names do not matter. Files of C<collect_params-E<gt>save> are
read too.

=item register_forward_hook($sub), register_forward_pre_hook($sub)

The sub is called with the block, its inputs and, after C<forward>, its outputs. C<detach> of what they return ends that.

=item register_child($block, $name), summary(@inputs), attributes_hash, class, register($package)

C<summary> runs the inputs through and prints a table of layers, shapes and numbers of parameters.

=back

=cut
